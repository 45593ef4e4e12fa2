package yamledit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEdit: what a file looks like after one entry more, and after it is gone
// again. Everything else is the same byte for byte.
func TestEdit(t *testing.T) {
	const entry = "zoe@example.com"
	tests := []struct {
		name, old, key, added string
		removed               string // "": as it was
	}{
		{"block", "a:\n  - x\n  - y\nb: 1\n", "a", "a:\n  - x\n  - y\n  - zoe@example.com\nb: 1\n", ""},
		{"unindented", "a:\n- x\nb: 1\n", "a", "a:\n- x\n- zoe@example.com\nb: 1\n", ""},
		{"deep, wide", "t:\n    p:\n        m:\n            -   x\n    q: 1\n", "t.p.m", "t:\n    p:\n        m:\n            -   x\n            -   zoe@example.com\n    q: 1\n", ""},
		{"comments", "# head\na: # key\n  # above\n  - x # of x\n  # below\nb: 1\n", "a", "# head\na: # key\n  # above\n  - x # of x\n  - zoe@example.com\n  # below\nb: 1\n", ""},
		{"CRLF", "a:\r\n  - x\r\nb: 1\r\n", "a", "a:\r\n  - x\r\n  - zoe@example.com\r\nb: 1\r\n", ""},
		{"no newline at the end", "a:\n  - x", "a", "a:\n  - x\n  - zoe@example.com", ""},
		{"byte order mark", "\ufeffa:\n  - x\n", "a", "\ufeffa:\n  - x\n  - zoe@example.com\n", ""},
		{"document marks", "--- # m\na:\n  - x\n...\n", "a", "--- # m\na:\n  - x\n  - zoe@example.com\n...\n", ""},
		{"double quotes", "a:\n  - \"x\\\"y\" # q\n", "a", "a:\n  - \"x\\\"y\" # q\n  - \"zoe@example.com\"\n", ""},
		{"single quotes", "a: ['x''y']\n", "a", "a: ['x''y', 'zoe@example.com']\n", ""},
		{"letters beyond ASCII", "ä:\n  é: [ü, ö]\n", "ä.é", "ä:\n  é: [ü, ö, zoe@example.com]\n", ""},
		{"flow", "a: [x, y] # both\n", "a", "a: [x, y, zoe@example.com] # both\n", ""},
		{"flow in flow", "{t: {a: [x], b: 1}}\n", "t.a", "{t: {a: [x, zoe@example.com], b: 1}}\n", ""},
		{"flow, a line each", "a: [\n  x, # of x\n  y # of y\n]\n", "a", "a: [\n  x, # of x\n  y, # of y\n  zoe@example.com\n]\n", ""},
		{"flow, a line each with a comma", "a: [\n  x,\n  y, # of y\n]\n", "a", "a: [\n  x,\n  y, # of y\n  zoe@example.com,\n]\n", ""},
		{"empty flow", "a: [] # none\n", "a", "a: [zoe@example.com] # none\n", ""},
		{"empty flow with room", "a: [ ]\n", "a", "a: [zoe@example.com]\n", "a: []\n"},
		{"no value", "a: # none yet\n# c\nb: 1\n", "a", "a: # none yet\n  - zoe@example.com\n# c\nb: 1\n", "a: [] # none yet\n# c\nb: 1\n"},
		{"no value, unindented lists", "b:\n- x\na:\n", "a", "b:\n- x\na:\n- zoe@example.com\n", "b:\n- x\na: []\n"},
		{"no value in flow", "t: {a: , b: 1}\n", "t.a", "t: {a: [zoe@example.com] , b: 1}\n", "t: {a: [] , b: 1}\n"},
		{"null", "a: null # c\n", "a", "a: [zoe@example.com] # c\n", "a: [] # c\n"},
		{"tilde above", "t: ~\n", "t.a", "t: {a: [zoe@example.com]}\n", "t: {a: []}\n"},
		{"no key", "b: 1\n", "a", "b: 1\na:\n  - zoe@example.com\n", "b: 1\na: []\n"},
		{"no key, no newline", "b: 1", "a", "b: 1\na:\n  - zoe@example.com", "b: 1\na: []"},
		{"no key in the middle", "t:\n   b: 1\n   # of b\n\n# of c\nc: 1\n", "t.a", "t:\n   b: 1\n   # of b\n   a:\n      - zoe@example.com\n\n# of c\nc: 1\n", "t:\n   b: 1\n   # of b\n   a: []\n\n# of c\nc: 1\n"},
		{"no key after a text of lines", "t:\n  b: |\n    # text\n    more\nc: 1\n", "t.a", "t:\n  b: |\n    # text\n    more\n  a:\n    - zoe@example.com\nc: 1\n", "t:\n  b: |\n    # text\n    more\n  a: []\nc: 1\n"},
		{"no levels", "b: 1\n\n", "t.p.a", "b: 1\nt:\n  p:\n    a:\n      - zoe@example.com\n\n", "b: 1\nt:\n  p:\n    a: []\n\n"},
		{"no levels under a key", "t:\nb:\n    c:\n        d: 1\n", "t.p.a", "t:\n    p:\n        a:\n            - zoe@example.com\nb:\n    c:\n        d: 1\n", "t:\n    p:\n        a: []\nb:\n    c:\n        d: 1\n"},
		{"no key in flow", "t: {b: 1}\n", "t.p.a", "t: {p: {a: [zoe@example.com]}, b: 1}\n", "t: {p: {a: []}, b: 1}\n"},
		{"empty mapping", "t: { } # c\n", "t.a", "t: {a: [zoe@example.com]} # c\n", "t: {a: []} # c\n"},
		{"no file", "", "t.a", "t:\n  a:\n    - zoe@example.com\n", "t:\n  a: []\n"},
		{"only comments", "# head", "a", "# head\na:\n  - zoe@example.com\n", "# head\na: []\n"},
		{"only a mark", "---\n", "a", "---\na:\n  - zoe@example.com\n", "---\na: []\n"},
		{"key that needs quotes", "b: 1\n", "on.x y", "b: 1\n'on':\n  'x y':\n    - zoe@example.com\n", "b: 1\n'on':\n  'x y': []\n"},
		{"anchors elsewhere", "b: &b [x]\nc: *b\na: [y]\n", "a", "b: &b [x]\nc: *b\na: [y, zoe@example.com]\n", ""},
		{"other entries are mappings", "a:\n  - {name: x}\n  - y\n", "a", "a:\n  - {name: x}\n  - y\n  - zoe@example.com\n", ""},
		{"other documents' words", "a:\n  - x: zoe@example.com\n  - y\n", "a", "a:\n  - x: zoe@example.com\n  - y\n  - zoe@example.com\n", ""},
	}
	for _, tt := range tests {
		key := strings.Split(tt.key, ".")
		added, err := Add([]byte(tt.old), key, entry)
		if err != nil {
			t.Errorf("%s: add: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(tt.added, string(added)); d != "" {
			t.Errorf("%s: added (-want +got)\n%s", tt.name, d)
		}
		again, err := Add(added, key, strings.ToUpper(entry))
		if err != nil || string(again) != string(added) {
			t.Errorf("%s: added again: %q, %v", tt.name, again, err)
		}
		want := tt.removed
		if want == "" {
			want = tt.old
		}
		removed, err := Remove(added, key, strings.ToUpper(entry))
		if err != nil {
			t.Errorf("%s: remove: %v", tt.name, err)
		}
		if d := cmp.Diff(want, string(removed)); d != "" {
			t.Errorf("%s: removed (-want +got)\n%s", tt.name, d)
		}
		if again, err := Remove(removed, key, entry); err != nil || string(again) != string(removed) {
			t.Errorf("%s: removed again: %q, %v", tt.name, again, err)
		}
	}
}

func TestRemove(t *testing.T) {
	tests := []struct{ name, old, entry, want string }{
		{"first", "a:\n  - x # of x\n  # of y\n  - y\n", "x", "a:\n  # of y\n  - y\n"},
		{"middle of flow", "a: [w, x, y]\n", "x", "a: [w, y]\n"},
		{"first of flow", "a: [x, y]\n", "x", "a: [y]\n"},
		{"only one of flow", "a: [ x, ]\n", "x", "a: [  ]\n"},
		{"first of flow, a line each", "a: [\n  x,\n  y\n]\n", "x", "a: [\n  y\n]\n"},
		{"last of flow, a line each", "a: [\n  x,\n  y\n]\n", "y", "a: [\n  x\n]\n"},
		{"only one of flow, a line each", "a: [\n  x\n]\n", "x", "a: [\n]\n"},
		{"all", "a:\n  - X\n  - y\n  - x\n", "x", "a:\n  - y\n"},
		{"all there are", "a: # of a\n  - X\n  - x", "x", "a: [] # of a"},
		{"a number", "a: [1234, 5]\n", "1234", "a: [5]\n"},
		{"quoted", "a: [\"x\", 'y']\n", "x", "a: ['y']\n"},
		{"not there", "a: [y]\n", "x", "a: [y]\n"},
		{"no list", "b: [y]\n", "x", "b: [y]\n"},
		{"no value", "a:\n", "x", "a:\n"},
	}
	for _, tt := range tests {
		got, err := Remove([]byte(tt.old), []string{"a"}, tt.entry)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if d := cmp.Diff(tt.want, string(got)); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, d)
		}
	}
}

// TestRemoveRefused: a comma in an unusual place would be left behind alone.
func TestRemoveRefused(t *testing.T) {
	got, err := Remove([]byte("a: [\n  x\n  , y\n]\n"), []string{"a"}, "x")
	if got != nil || !errors.Is(err, ErrUnsafe) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestQuotes: an entry is what it is for YAML of any version.
func TestQuotes(t *testing.T) {
	for entry, want := range map[string]string{
		"alice-gh":            "alice-gh",
		"a.b+c@example.com":   "a.b+c@example.com",
		"yes":                 "'yes'",
		"Null":                "'Null'",
		"1234":                "'1234'",
		"0x1f":                "'0x1f'",
		"1e5":                 "'1e5'",
		"o'brien@example.com": "'o''brien@example.com'",
		"#a@example.com":      "'#a@example.com'",
		"*a@example.com":      "'*a@example.com'",
		"-a":                  "'-a'",
	} {
		got, err := Add([]byte("a: []\n"), []string{"a"}, entry)
		if w := "a: [" + want + "]\n"; err != nil || string(got) != w {
			t.Errorf("%s: %q, %v; want %q", entry, got, err, w)
		}
		if there, err := Has(got, []string{"a"}, entry); err != nil || !there {
			t.Errorf("%s: there %v, %v", entry, there, err)
		}
	}
}

// TestRefused: what cannot be edited safely is left alone, and the error says why.
func TestRefused(t *testing.T) {
	tests := []struct{ name, old, key, want string }{
		{"key is a mapping", "a: {x: 1}\n", "a", "line 1: a is a mapping, not a list"},
		{"key is a scalar", "a: x\n", "a", "line 1: a is a scalar, not a list"},
		{"level is a list", "a: [x]\n", "a.b", "line 1: a is a list, not a mapping"},
		{"file is a list", "- a\n", "a", "line 1: the file is a list, not a mapping"},
		{"not YAML", "a: [\n", "a", "not YAML: yaml: line 1: did not find expected node content"},
		{"tabs", "a:\n\t- x\n", "a", "not YAML: yaml: line 2: found character that cannot start any token"},
		{"tab behind the dash", "a:\n-\tx\n", "a", "not YAML: yaml: line 2: found character that cannot start any token"},
		{"documents", "a: [x]\n---\na: [y]\n", "a", "the file cannot be edited safely: it has several documents"},
		{"anchor at the list", "a: &x\n  - y\nb: *x\n", "a", "the file cannot be edited safely: there is an anchor (&x) in line 1"},
		{"anchor above", "t: &x\n  a: [y]\nb: *x\n", "t.a", "the file cannot be edited safely: there is an anchor (&x) in line 1"},
		{"alias", "b: &x [y]\na: *x\n", "a", "the file cannot be edited safely: there is an alias (*x) in line 2"},
		{"alias in the list", "b: &x y\na: [*x]\n", "a", "the file cannot be edited safely: the list has an alias (*x) in line 2"},
		{"merge key", "b: &x {a: [y]}\nt:\n  <<: *x\n", "t.a", "the file cannot be edited safely: there is a merge key (<<) in line 3"},
		{"tag", "a: !set [y]\n", "a", "the file cannot be edited safely: there is a tag (!set) in line 1"},
		{"key twice", "a: [x]\na: [y]\n", "a", "the file cannot be edited safely: the key a is there twice, in lines 1 and 2"},
		{"comment in brackets", "a: [ # none\n]\n", "a", "the file cannot be edited safely: there is a comment between the brackets in line 1"},
		{"text of lines", "a:\n  - |\n    x\n", "a", "the file cannot be edited safely: what is in line 2 is not a word of one line"},
		{"word of lines", "a:\n  - x\n    y\n", "a", "the file cannot be edited safely: what is in line 2 is not a word of one line"},
		{"list in a list", "a:\n  - - x\n", "a", "the file cannot be edited safely: what is in line 2 is not a word of one line"},
		{"dash above", "a:\n  -\n    x\n", "a", "the file cannot be edited safely: the entry in line 3 is not a line of its own"},
		{"blank lines that count", "t:\n  b: |+\n    x\n\nc: 1\n", "t.a", "the file cannot be edited safely: line 2 would change"},
		{"line ends of YAML", "a: [x]\u2028b: 1\n", "a", "the file cannot be edited safely: it has line ends that only YAML knows"},
	}
	for _, tt := range tests {
		got, err := Add([]byte(tt.old), strings.Split(tt.key, "."), "zoe@example.com")
		if got != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s: %q, %v\nwant %s", tt.name, got, err, tt.want)
		}
	}
	big := []byte(strings.Repeat("# \n", maxFile/3+1))
	if _, err := Add(big, []string{"a"}, "x"); err == nil || errors.Is(err, ErrUnsafe) {
		t.Errorf("a file of %d bytes: %v", len(big), err)
	}
}

// plain reports whether an entry is what callers check it to be before.
func plain(s string) bool {
	return s != "" && len(s) <= 300 && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// FuzzEdit: whatever the file, an edit either refuses or changes exactly one
// entry, which can be taken out again.
func FuzzEdit(f *testing.F) {
	for _, s := range []string{"a:\n  - x\n", "a: [x, y]\n", "a: [\n x, # c\n y\n]", "t: {a: }", "t:\n  a:\n  - 'x'\n# c\n  - \"y\"\r\n", "a: &b\n- x\n", "a: |\n x\n\n\n", "--- {a: [x]}\n", "# c\n"} {
		f.Add(s, "a", "zoe@example.com")
		f.Add(s, "t.a", "on")
	}
	f.Fuzz(func(t *testing.T, old, path, entry string) {
		key := strings.Split(path, ".")
		if !plain(entry) || strings.Contains("."+path+".", "..") {
			return
		}
		there, err := Has([]byte(old), key, entry)
		if err != nil {
			return
		}
		added, err := Add([]byte(old), key, entry)
		if err != nil {
			return
		}
		if there && string(added) != old {
			t.Fatalf("it was there, and %q became %q", old, added)
		}
		if there, err := Has(added, key, entry); err != nil || !there {
			t.Fatalf("added to %q gives %q: there %v, %v", old, added, there, err)
		}
		if there {
			return
		}
		if !subsequence(old, string(added)) && !strings.Contains(old, "[") && !strings.Contains(old, "{") && !strings.Contains(old, "~") && !strings.Contains(strings.ToLower(old), "null") {
			t.Fatalf("%q became %q: something is lost", old, added)
		}
		removed, err := Remove(added, key, entry)
		if err != nil {
			t.Fatalf("%q became %q, and cannot go back: %v", old, added, err)
		}
		if there, err := Has(removed, key, entry); err != nil || there {
			t.Fatalf("%q still there: %v", removed, err)
		}
		if f, err := parse([]byte(old)); err == nil {
			if s, err := f.find(key); err == nil && s.node != nil && len(s.node.Content) > 0 && string(removed) != old {
				t.Fatalf("%q became %q and then %q", old, added, removed)
			}
		}
	})
}

// subsequence reports whether nothing of a is lost in b.
func subsequence(a, b string) bool {
	for i := range len(b) {
		if a != "" && a[0] == b[i] {
			a = a[1:]
		}
	}
	return a == ""
}
