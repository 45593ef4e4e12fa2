package forge_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"countersign/bot/forge"
)

// hub is one repository, as far as a proposal touches it. It refuses what
// GitHub refuses: a branch that exists, a file changed from another version.
type hub struct {
	t        *testing.T
	mu       sync.Mutex
	branches map[string]string // name -> content of the file
	pulls    []map[string]any
	messages []string
	fail     string // method and path of a call that fails once, after its effect
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	status, body := h.answer(r)
	if h.fail == r.Method+" "+r.URL.Path {
		h.fail = ""
		status, body = http.StatusBadGateway, map[string]any{"message": "Server Error"}
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		h.t.Error(err)
	}
}

func sum(content string) string { return fmt.Sprintf("%x", len(content)) + strings.Repeat("0", 38) }

func (h *hub) answer(r *http.Request) (int, any) {
	var in map[string]any
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&in)
	}
	text := func(k string) string { s, _ := in[k].(string); return s }
	switch path := strings.TrimPrefix(r.URL.Path, "/repos/acme/access/"); r.Method + " " + path {
	case "GET git/ref/heads/main":
		return 200, map[string]any{"ref": "refs/heads/main", "object": map[string]any{"sha": "main"}}
	case "GET contents/countersign.yaml":
		content, ok := h.branches[r.URL.Query().Get("ref")]
		if !ok {
			return 404, map[string]any{"message": "No commit found for the ref"}
		}
		return 200, map[string]any{"type": "file", "encoding": "base64", "sha": sum(content), "content": base64.StdEncoding.EncodeToString([]byte(content))}
	case "POST git/refs":
		name := strings.TrimPrefix(text("ref"), "refs/heads/")
		if _, there := h.branches[name]; there {
			return 422, map[string]any{"message": "Reference already exists"}
		}
		h.branches[name] = h.branches[text("sha")]
		return 201, map[string]any{"ref": text("ref")}
	case "PUT contents/countersign.yaml":
		if text("branch") == "main" {
			h.t.Error("the base was written to")
		}
		if text("sha") != sum(h.branches[text("branch")]) {
			return 409, map[string]any{"message": "does not match"}
		}
		content, _ := base64.StdEncoding.DecodeString(text("content"))
		h.branches[text("branch")] = string(content)
		h.messages = append(h.messages, text("message"))
		return 200, map[string]any{}
	case "POST pulls":
		for _, p := range h.pulls {
			if p["head"].(map[string]any)["ref"] == text("head") {
				return 422, map[string]any{"message": "A pull request already exists"}
			}
		}
		p := map[string]any{"number": 12 + len(h.pulls), "html_url": "https://github.com/acme/access/pull/12", "head": map[string]any{"ref": text("head")}, "body": text("body")}
		h.pulls = append(h.pulls, p)
		return 201, p
	case "GET pulls":
		return 200, h.pulls
	}
	h.t.Errorf("unexpected call: %s %s", r.Method, r.URL)
	return 404, map[string]any{"message": "Not Found"}
}

func propose(t *testing.T, h *hub) (int, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/acme/access", Token: "t", APIURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := g.Propose(t.Context(), forge.Change{
		Base: "main", Path: "countersign.yaml", Branch: "countersign/add-dan", Title: "reviewers: add dan@example.com",
		Message: "Requested-by: bob@example.com", Body: "asked for in Slack",
		Edit: func(old []byte) ([]byte, error) { return append(old, "- dan\n"...), nil },
	})
	return n, err
}

func newHub(t *testing.T) *hub {
	return &hub{t: t, branches: map[string]string{"main": "- bob\n"}}
}

func TestPropose(t *testing.T) {
	h := newHub(t)
	if n, err := propose(t, h); err != nil || n != 12 {
		t.Fatalf("got #%d, %v", n, err)
	}
	if got := h.branches["countersign/add-dan"]; got != "- bob\n- dan\n" {
		t.Errorf("the branch has %q", got)
	}
	if h.branches["main"] != "- bob\n" {
		t.Error("the base has changed")
	}
	if !strings.HasSuffix(h.messages[0], "\n\nRequested-by: bob@example.com") {
		t.Errorf("the commit says %q", h.messages[0])
	}
	if n, err := propose(t, h); err != nil || n != 12 || len(h.pulls) != 1 {
		t.Errorf("the same wish again: #%d, %v, %d pull requests", n, err, len(h.pulls))
	}
}

// TestProposeAgainAfterALostAnswer: whichever answer is lost, the next try ends
// with one pull request.
func TestProposeAgainAfterALostAnswer(t *testing.T) {
	for _, call := range []string{"GET git/ref/heads/main", "POST git/refs", "PUT contents/countersign.yaml", "POST pulls"} {
		h := newHub(t)
		method, path, _ := strings.Cut(call, " ")
		h.fail = method + " /repos/acme/access/" + path
		_, _ = propose(t, h)
		if n, err := propose(t, h); err != nil || n != 12 {
			t.Errorf("%s: got #%d, %v", call, n, err)
		}
		if len(h.pulls) != 1 || h.branches["countersign/add-dan"] != "- bob\n- dan\n" {
			t.Errorf("%s: %d pull requests, branch %q", call, len(h.pulls), h.branches["countersign/add-dan"])
		}
	}
}

func TestNothingToPropose(t *testing.T) {
	h := newHub(t)
	srv := httptest.NewServer(h)
	defer srv.Close()
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/acme/access", Token: "t", APIURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = g.Propose(t.Context(), forge.Change{Base: "main", Path: "countersign.yaml", Branch: "b", Title: "t", Edit: func(old []byte) ([]byte, error) { return old, nil }})
	if !errors.Is(err, forge.ErrNothingToDo) || len(h.branches) != 1 {
		t.Errorf("got %v and %d branches", err, len(h.branches))
	}
}
