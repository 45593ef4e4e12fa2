//go:build race

package bot_test

// raced says that the race detector watches: it makes all this some ten times
// slower, and sees in a part of it what it would see in the whole.
const raced = true
