package githubtest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// A Pull is a pull request from a branch of the same repository.
type Pull struct {
	Number             int
	Base, Branch       string
	Title, Body        string
	Open, Merged, Fork bool
}

// pulls answers what is below a repository's pulls and git/refs, with the mutex held.
func (h *Hub) pulls(r *http.Request, body []byte, name string, at *Repo, rest []string) Reply {
	switch {
	case r.Method == "GET" && len(rest) == 1:
		return h.listPulls(r, name, at)
	case r.Method == "POST" && len(rest) == 1:
		return h.openPull(body, name, at)
	case len(rest) == 2:
		n, _ := strconv.Atoi(rest[1])
		if n < 1 || n > len(at.Pulls) {
			return NotFound()
		}
		p := at.Pulls[n-1]
		switch r.Method {
		case "GET":
			one := h.pull(p, name)
			one["mergeable"] = nil
			if p.Open {
				one["mergeable"] = at.Mergeable(p)
			}
			return OK(one)
		case "PATCH":
			return h.changePull(body, name, p)
		}
	}
	h.report("%s %s of a repository is not documented", r.Method, rest)
	return NotFound()
}

func (h *Hub) listPulls(r *http.Request, name string, at *Repo) Reply {
	q := r.URL.Query()
	owner, branch, ok := strings.Cut(q.Get("head"), ":")
	if !ok || q.Get("state") != "all" || q.Get("sort") != "created" || q.Get("direction") != "desc" || !strings.HasPrefix(name, owner+"/") {
		h.report("pull requests are asked for with %s", r.URL.RawQuery)
	}
	var all []any
	for _, p := range slices.Backward(at.Pulls) {
		if p.Branch == branch && p.Base == q.Get("base") {
			all = append(all, h.pull(p, name))
		}
	}
	return h.page(r, all)
}

// pull is one as it is listed.
func (h *Hub) pull(p *Pull, name string) map[string]any {
	repo := func(id int64) map[string]any { return map[string]any{"id": id, "full_name": name} }
	from := repo(9)
	if p.Fork {
		from = repo(10)
	}
	one := map[string]any{
		"number": p.Number, "html_url": fmt.Sprintf("https://github.com/%s/pull/%d", name, p.Number), "title": p.Title, "body": p.Body,
		"state": "closed", "merged_at": nil, "user": h.Show(102),
		"head": map[string]any{"ref": p.Branch, "label": "acme:" + p.Branch, "repo": from},
		"base": map[string]any{"ref": p.Base, "label": "acme:" + p.Base, "repo": repo(9)},
	}
	if p.Open {
		one["state"] = "open"
	}
	if p.Merged {
		one["merged_at"] = "2026-11-23T10:00:00Z"
	}
	return one
}

func (h *Hub) openPull(body []byte, name string, at *Repo) Reply {
	var in struct{ Title, Head, Base, Body string }
	h.strict(body, &in)
	invalid := func(message string) Reply {
		return Reply{Status: 422, Body: fmt.Sprintf(`{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":%q}]}`, message)}
	}
	if in.Title == "" || len(in.Title) > 256 || strings.ContainsAny(in.Title, "\r\n") || in.Body == "" {
		h.report("a pull request with title %q and body %q", in.Title, in.Body)
	}
	if slices.ContainsFunc(at.Pulls, func(p *Pull) bool { return p.Open && p.Branch == in.Head && p.Base == in.Base }) {
		return invalid("A pull request already exists for acme:" + in.Head + ".")
	}
	if ahead, err := at.git("rev-list", "--count", "refs/heads/"+in.Base+"..refs/heads/"+in.Head); err != nil || ahead == "0" {
		return invalid("No commits between " + in.Base + " and " + in.Head)
	}
	p := &Pull{Number: len(at.Pulls) + 1, Base: in.Base, Branch: in.Head, Title: in.Title, Body: in.Body, Open: true}
	at.Pulls = append(at.Pulls, p)
	a := OK(h.pull(p, name))
	a.Status = http.StatusCreated
	return a
}

func (h *Hub) changePull(body []byte, name string, p *Pull) Reply {
	var in struct{ Title, State string }
	h.strict(body, &in)
	if in.State != "closed" || in.Title == "" {
		h.report("a change of #%d: %s", p.Number, body)
	}
	if p.Merged {
		return Refuse(422, "Validation Failed")
	}
	p.Open, p.Title = false, in.Title
	return OK(h.pull(p, name))
}

// dropRef removes a branch. Its open pull requests are closed by that.
func (h *Hub) dropRef(at *Repo, branch string) Reply {
	if branch == "main" || !strings.HasPrefix(branch, "countersign/") {
		h.report("branch %s is removed", branch)
	}
	if _, err := at.git("rev-parse", "--verify", "refs/heads/"+branch); err != nil {
		return Refuse(422, "Reference does not exist")
	}
	if _, err := at.git("update-ref", "-d", "refs/heads/"+branch); err != nil {
		return Refuse(500, err.Error())
	}
	for _, p := range at.Pulls {
		p.Open = p.Open && p.Branch != branch
	}
	return Reply{Status: http.StatusNoContent}
}

// git runs the real one in the repository of files.
func (at *Repo) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = at.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=GitHub", "GIT_AUTHOR_EMAIL=noreply@github.com", "GIT_COMMITTER_NAME=GitHub", "GIT_COMMITTER_EMAIL=noreply@github.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// Mergeable reports whether nothing is in the way of a merge.
func (at *Repo) Mergeable(p *Pull) bool {
	_, err := at.git("merge-tree", "--write-tree", p.Base, p.Branch)
	return err == nil
}

// Merge is what a person does: a merge commit on the base. It is called within
// [Hub.Do].
func (at *Repo) Merge(number int) error {
	p := at.Pulls[number-1]
	if !p.Open {
		return fmt.Errorf("#%d is not open", number)
	}
	tree, err := at.git("merge-tree", "--write-tree", p.Base, p.Branch)
	if err != nil {
		return err
	}
	commit, err := at.git("commit-tree", "-p", p.Base, "-p", p.Branch, "-m", fmt.Sprintf("Merge pull request #%d from acme/%s\n\n%s", number, p.Branch, p.Title), tree)
	if err != nil {
		return err
	}
	_, err = at.git("update-ref", "refs/heads/"+p.Base, commit)
	p.Open, p.Merged = false, err == nil
	return err
}
