package gitstore

import (
	"fmt"
	"iter"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath and maxName are what a file system takes, in bytes.
const (
	maxPath = 4096
	maxName = 255
)

// pathParts yields the names in a slash-separated path; none for "".
func pathParts(p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for p != "" {
			var name string
			name, p, _ = strings.Cut(p, "/")
			if !yield(name) {
				return
			}
		}
	}
}

// checkPath refuses paths that a checkout could be harmed by, or that git
// itself refuses: absolute ones, "..", .git in any disguise, control
// characters, what is not UTF-8.
func checkPath(p string) error {
	if p == "" || len(p) > maxPath || !utf8.ValidString(p) {
		return fmt.Errorf("%w: path %q is empty, too long or not UTF-8", ErrInvalid, p)
	}
	if path.IsAbs(p) || path.Clean(p) != p || p == "." {
		return fmt.Errorf("%w: path %q is absolute or not in its shortest form", ErrInvalid, p)
	}
	for name := range strings.SplitSeq(p, "/") {
		if err := checkName(name); err != nil {
			return fmt.Errorf("%w: path %q: %w", ErrInvalid, p, err)
		}
	}
	return nil
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > maxName {
		return fmt.Errorf("%q is not a file name", name)
	}
	for _, c := range name {
		// Format characters are invisible, and HFS+ ignores them: ".g\u200cit".
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c == '\\' || c == ':' {
			return fmt.Errorf("%q contains the character %U", name, c)
		}
	}
	switch strings.ToLower(strings.TrimRight(name, ". ")) {
	case "", ".git", "git~1":
		return fmt.Errorf("%q is git's own", name)
	}
	return nil
}

// checkLogPath refuses paths that a log never holds: those that checkPath
// refuses, those outside of the known top directories, and any character
// beyond what ids, dates and addresses need.
func checkLogPath(p string) error {
	if err := checkPath(p); err != nil {
		return err
	}
	top, rest, ok := strings.Cut(p, "/")
	if !ok || rest == "" || !isTopDir(top) {
		return fmt.Errorf("%w: path %q does not lie in one of the log's directories", ErrInvalid, p)
	}
	for _, c := range p {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("/-_.@+=", c):
		default:
			return fmt.Errorf("%w: path %q contains the character %q", ErrInvalid, p, c)
		}
	}
	return nil
}

// isTopDir reports whether a log may hold a top directory of this name.
func isTopDir(name string) bool {
	switch name {
	case "requests", "allowances", "reviews", "sweeps", "erasures":
		return true
	}
	return false
}
