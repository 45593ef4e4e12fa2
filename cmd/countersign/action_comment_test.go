package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// comment runs config comment with a text.
func (h *hub) note(text string, more ...string) (int, string, string) {
	h.t.Helper()
	file := filepath.Join(h.t.TempDir(), "preview.md")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return h.run(append([]string{"config", "comment", file, "--repo", "acme/access", "--pull", "12"}, more...)...)
}

func (h *hub) said(who, body string) {
	h.comments = append(h.comments, object{"id": 40 + len(h.comments), "user": user(who), "body": body, "html_url": "https://github.com/acme/access/pull/12#issuecomment-x"})
}

// bodies are the comments as they stand.
func (h *hub) bodies() string {
	var all []string
	for _, c := range h.comments {
		all = append(all, c["user"].(object)["login"].(string)+": "+c["body"].(string))
	}
	return strings.Join(all, "\n---\n")
}

// TestOneComment: the first push makes a comment, each later one changes it, on
// whichever page it is.
func TestOneComment(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for _, who := range []string{"bob-gh", "erin-gh", "carol-gh", "bob-gh"} {
		h.said(who, "hm")
	}
	for _, text := range []string{"first", "second", "second", "third"} {
		if code, out, said := h.note(text); code != 0 || !strings.HasPrefix(out, "https://github.com/acme/access/pull/12#issuecomment-") {
			t.Fatalf("%s: exit code %d, stdout %q:\n%s", text, code, out, said)
		}
		if len(h.comments) != 5 || h.comments[4]["body"] != previewMark+"\n"+text {
			t.Errorf("after %s:\n%s", text, h.bodies())
		}
	}
}

// TestCommentOfOthers: whoever writes the mark first, or an answer that quotes it,
// is neither overwritten nor taken for ours.
func TestCommentOfOthers(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.said("mallory", previewMark+"\nall is well")
	h.said("helper[bot]", previewMark+"\nall is well")
	h.said("github-actions[bot]", "another workflow quotes "+previewMark)
	if code, _, said := h.note("ours"); code != 0 {
		t.Fatal(said)
	}
	if code, _, said := h.note("ours again"); code != 0 {
		t.Fatal(said)
	}
	want := "mallory: " + previewMark + "\nall is well\n---\nhelper[bot]: " + previewMark + "\nall is well\n---\ngithub-actions[bot]: another workflow quotes " + previewMark +
		"\n---\ngithub-actions[bot]: " + previewMark + "\nours again"
	if got := h.bodies(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestCommentTwice: what two runs at once left behind becomes one again.
func TestCommentTwice(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for range 4 {
		h.said("github-actions[bot]", previewMark+"\nold")
	}
	if code, _, said := h.note("new"); code != 0 || h.bodies() != "github-actions[bot]: "+previewMark+"\nnew" {
		t.Errorf("exit code %d:\n%s\n%s", code, said, h.bodies())
	}
}

// TestCommentUpdate: --update writes no new comment.
func TestCommentUpdate(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	if code, out, said := h.note("x", "--update"); code != 0 || out != "" || len(h.comments) != 0 {
		t.Errorf("exit code %d, stdout %q, stderr %q, comments %s", code, out, said, h.bodies())
	}
	h.said("github-actions[bot]", previewMark+"\nold")
	if code, _, said := h.note("x", "--update"); code != 0 || !strings.HasSuffix(h.bodies(), "\nx") {
		t.Errorf("exit code %d, stderr %q, comments %s", code, said, h.bodies())
	}
}

// TestCommentForbidden: from a fork that is no failure; elsewhere it is, and the
// permission is named.
func TestCommentForbidden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head any
		code int
		want string
	}{
		"a fork":         {object{"id": 2}, 0, "comes from a fork"},
		"a fork, gone":   {nil, 0, "comes from a fork"},
		"the repository": {object{"id": 1}, 1, "pull-requests: write"},
	} {
		h := newHub(t)
		h.readOnly = true
		h.pull["head"].(object)["repo"] = c.head
		if code, out, said := h.note("x"); code != c.code || out != "" || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit code %d, want %d; stdout %q, stderr %q", name, code, c.code, out, said)
		}
	}
}

// TestCommentFails: what is no refusal is a failure, and a limit is waited for.
func TestCommentFails(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.faults = []hubFault{{on: "POST issues", status: 502}}
	if code, _, said := h.note("x"); code != 1 || !strings.Contains(said, "comment on #12") {
		t.Errorf("exit code %d: %s", code, said)
	}
	h.faults = []hubFault{{"POST issues", 403, map[string]string{"Retry-After": "1"}, `{"message":"You have exceeded a secondary rate limit"}`}}
	if code, _, said := h.note("x"); code != 0 || len(h.comments) != 1 {
		t.Errorf("exit code %d: %s", code, said)
	}
	h.login = "machine"
	if code, _, said := h.note("x", "--author", "other"); code != 1 || !strings.Contains(said, "it was written by machine, not by other") {
		t.Errorf("exit code %d: %s", code, said)
	}
	if code, _, said := h.note(strings.Repeat("x", 70000)); code != 1 || !strings.Contains(said, "too many") {
		t.Errorf("exit code %d: %s", code, said)
	}
}
