package ledger

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func goldenFiles(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/v1/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		if out[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestCanonical: the small reader takes every file that Encode writes. It would
// otherwise be no faster, and nothing else would tell.
func TestCanonical(t *testing.T) {
	for name, data := range goldenFiles(t) {
		if filepath.Base(filepath.Dir(name)) != "v1" || isAllowance(data) {
			continue
		}
		if _, ok := readCanonical(data); !ok {
			t.Errorf("%s is left to the library", name)
		}
		agree(t, data)
	}
	for _, data := range odd {
		agree(t, []byte(data))
	}
}

func isAllowance(data []byte) bool {
	_, err := decodeAllowance(data)
	return err == nil
}

// agree fails where the small reader takes what the library reads otherwise.
func agree(t *testing.T, data []byte) {
	t.Helper()
	got, ok := readCanonical(data)
	if !ok {
		return
	}
	want, err := readYAML(data)
	if err != nil || !reflect.DeepEqual(want, got) {
		t.Fatalf("%q\nreads as %+v\nthe library says %+v, %v", data, got, want, err)
	}
}

// odd is YAML that means something else than it seems to, or nothing.
var odd = []string{
	"", "\n", "a", "- a\n", "version: 1", "version: 01\n", "version: 0x1\n", "version: 1_000\n", "version: -1\n", "version: \"1\"\n", "version: 1 # one\n",
	"version: 1\nversion: 1\n", "\"version\": 1\n", "version:  1\n", " version: 1\n", "version: 1\n \n", "version: 1\n---\n", "version: 1\n...\n",
	"---\nversion: 1\n", "%YAML 1.1\n---\nversion: 1\n", "\ufeffversion: 1\n", "version: 1\r\n", "version:\t1\n",
	"event_id: null\n", "event_id: ~\n", "event_id: yes\n", "event_id: 1.5\n", "event_id: .inf\n", "event_id: 2026-11-23\n", "event_id: a:b\n", "event_id: a: b\n", "event_id: a:\n",
	"event_id: -a\n", "event_id: - a\n", "event_id: 0o7\n", "event_id: <<\n", "event_id: =\n", "event_id: !!str a\n", "event_id: &a b\n", "event_id: |\n  a\n", "event_id: 'a'\n",
	"event_id: \"a\n", "event_id: \"a\" b\n", "event_id: \"a\"#b\n", "event_id: \"a\tb\"\n", "event_id: \"\\x41\\u0042\\U00000043\\0\\e\"\n", "event_id: \"\\ud800\"\n", "event_id: \"\\/\"\n",
	"event_id: \"\u0085\"\n", "event_id: \"\u2028\"\n", "event_id: \"\u00a0\"\n", "event_id: \"\ufeff\"\n", "event_id: \"\ufffd\"\n", "event_id: \"\ufffe\"\n", "event_id: \"\xff\"\n", "event_id: \"👍\"\n", "event_id: \"\x7f\"\n",
	"event_id: \"\\\n", "event_id: \"\\u00\"\n", "event_id: \"  a  \"\n", "event_id: {}\n", "event_id: []\n", "event_id:\n    a: b\n",
	"at: 2026-11-23\n", "at: 2026-11-23T09:01:00Z\n", "at: 2026-11-23T09:01:00.5Z\n", "at: 2026-11-23T09:01:00+01:00\n", "at: 2026-11-23T9:01:00Z\n", "at: \"2026-11-23T09:01:00Z\"\n", "at: 2026-02-30T09:01:00Z\n", "at: 0001-01-01T00:00:00Z\n", "at: 2026-11-23T09:01:60Z\n", "at: 2026-11-23T09:01:00,5Z\n",
	"by: {}\n", "by: []\n", "by:\n", "by:\n    email: a\n    email: b\n", "by:\n  email: a\n", "by:\n    email: a\n  slack: b\n", "by:\nemail: a\n", "by:\n    <<: a\n",
	"recorded_late: true\n", "recorded_late: yes\n", "recorded_late: True\n", "recorded_late: \"true\"\n",
	"policies: []\n", "policies:\n    - a\n    - b\n", "policies:\n- a\n", "policies:\n    - a: b\n", "policies:\n    - \"a: b\"\n", "policies:\n    -   a\n", "policies:\n    -\n", "policies:\n    - - a\n", "policies:\n    - null\n",
	"approvers:\n    - email: a\n      slack: b\n    - {}\n", "approvers:\n    - email: a\n        slack: b\n", "approvers:\n    - \"email\": a\n", "approvers:\n    - email:\n        a: b\n", "approvers: []\n",
	"groups:\n    a:b:\n        - email: x\n    c: []\n", "groups:\n    1: []\n    \"1\": []\n", "groups: {}\n", "groups:\n    a: {}\n", "groups:\n    a:\n        - {}\n",
	"duration: 1h\n", "duration: \"1h\"\n", "duration: soon\n", "duration: 0s\n", "duration: 1\n", "duration: []\n",
	"target:\n    provider: a\n    with:\n        n: 1\n", "target:\n    provider: a\n    with:\n        \"n\": 1\n        1: \"x\"\n", "target:\n    provider: a\n    with: {}\n", "target: {}\n", "target:\n    provider: a\n    with:\n        a: {}\n        b: []\n        c:\n            - {}\n            - []\n            - 0\n            - 01\n            - 1e3\n            - true\n",
	"target:\n    provider: a\n    with:\n        a: b\n", "target:\n    provider: a\n    with:\n        a: 123456789012345\n        b: 1234567890123456789012\n", "target:\n    provider: a\n    with: []\n", "target:\n    provider: a\n    with:\n        yes: 1\n        true: 2\n        null: 3\n", "target:\n    provider: a\n    with:\n        a:\n            \"true\": 1\n            x/y.z-1: 2\n",
	"event_id: a b\n", "event_id: a  b\n", "event_id: a \n", "event_id: a :b\n", "event_id: a: b c\n", "event_id: a - b\n", "event_id: a #b\n", "event_id: a ?b\n", "a b: c\n", "event_id: null x\n",
	"text: \"\"\n", "text: a\n", "text:\n", "requestor: {}\n", "requestor:\n    email: \"a\"\n", "level: 1\n", "round: 7\n", "rules: 1.0\n",
	"on_call:\n    pagerduty:\n        - level: 1\n          start: 2026-11-23T09:01:00Z\n", "calls:\n    - integration: a\n      services:\n        - b\n", "calls:\n    - integration: a\n      services: []\n", "unreached:\n    - a:b\n",
}

func FuzzCanonical(f *testing.F) {
	for _, data := range goldenFiles(f) {
		f.Add(data)
	}
	for _, data := range odd {
		f.Add([]byte(data))
	}
	f.Fuzz(agree)
}

func BenchmarkDecode(b *testing.B) {
	data, err := os.ReadFile("testdata/v1/approved.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func([]byte) (record, error){
		"canonical": func(d []byte) (record, error) { r, _ := readCanonical(d); return r, nil }, "library": readYAML,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
