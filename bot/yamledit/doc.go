// Package yamledit adds an entry to a list in a YAML file, and takes it away
// again, as a careful person would: everything else stays the same byte for
// byte, comments, order and quoting included.
//
// It works on the text, by the positions that the parser reports, and reads the
// result again before it returns it: where anything but the one entry would
// differ, the answer is [ErrUnsafe].
//
// A list is named by its keys from the top. Missing keys are made. Entries are
// printable ASCII without spaces, and compared without regard to case.
package yamledit
