package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// approve is a review that approves the newest commit.
func approve(login string) object { return review(login, "APPROVED", hubHead) }

// byPerson makes the pull request one that a person opened by hand.
func byPerson(h *hub, login string) {
	h.pull["user"], h.pull["body"] = user(login), nil
	h.pull["head"].(object)["ref"] = "more-reviewers"
	h.commits = []object{commitOf(hubHead, "add dan", login)}
}

// TestConfigReview: each way in which an approval counts, or must not.
func TestConfigReview(t *testing.T) {
	t.Parallel()
	const wait = "waits for the approval of 6dcb09b5b5 by somebody other than "
	for name, c := range map[string]struct {
		with func(h *hub)
		code int
		want string
	}{
		"nobody has said anything":   {func(h *hub) {}, 1, wait + "bob@example.com"},
		"somebody else":              {func(h *hub) { h.reviews = []object{approve("carol-gh")} }, 0, "Approved by carol-gh at 6dcb09b5b5."},
		"in other letters":           {func(h *hub) { h.reviews = []object{approve("Carol-GH")} }, 0, "Approved by Carol-GH"},
		"somebody who is in no list": {func(h *hub) { h.reviews = []object{approve("erin-gh")} }, 0, "Approved by erin-gh"},
		"the requestor":              {func(h *hub) { h.reviews = []object{approve("bob-gh")} }, 1, "of bob-gh does not count: they asked for the change"},
		"the requestor in capitals":  {func(h *hub) { h.reviews = []object{approve("BOB-gh")} }, 1, "of BOB-gh does not count: they asked for the change"},
		"the bot":                    {func(h *hub) { h.reviews = []object{approve("countersign-app[bot]")} }, 1, "it is no person's"},
		"another bot":                {func(h *hub) { h.reviews = []object{approve("helper[bot]")} }, 1, "it is no person's"},
		"an account that is gone":    {func(h *hub) { h.reviews = []object{{"user": nil, "state": "APPROVED", "commit_id": hubHead}} }, 1, wait},
		"an organization": {func(h *hub) {
			r := approve("carol-gh")
			r["user"].(object)["type"] = "Organization"
			h.reviews = []object{r}
		}, 1, "it is no person's"},
		"an older commit":             {func(h *hub) { h.reviews = []object{review("carol-gh", "APPROVED", hubOlder)} }, 1, "it is about 0f1e2d3c4b, and the newest commit is 6dcb09b5b5"},
		"an older commit, then a new": {func(h *hub) { h.reviews = []object{review("carol-gh", "APPROVED", hubOlder), approve("carol-gh")} }, 0, "Approved"},
		"only a comment":              {func(h *hub) { h.reviews = []object{review("carol-gh", "COMMENTED", hubHead)} }, 1, wait},
		"a comment afterwards":        {func(h *hub) { h.reviews = []object{approve("carol-gh"), review("carol-gh", "COMMENTED", hubHead)} }, 0, "Approved"},
		"an unfinished review":        {func(h *hub) { h.reviews = []object{approve("carol-gh"), review("carol-gh", "PENDING", "")} }, 0, "Approved"},
		"dismissed":                   {func(h *hub) { h.reviews = []object{approve("carol-gh"), review("carol-gh", "DISMISSED", hubHead)} }, 1, wait},
		"changes wanted afterwards": {func(h *hub) {
			h.reviews = []object{approve("carol-gh"), review("CAROL-gh", "CHANGES_REQUESTED", hubHead)}
		}, 1, wait},
		"on the third page": {func(h *hub) {
			h.reviews = []object{review("a", "COMMENTED", hubHead), approve("bob-gh"), approve("bob-gh"), approve("reader"), approve("carol-gh")}
		}, 0, "Approved by carol-gh"},
		"dismissed on the third page": {func(h *hub) {
			h.reviews = []object{approve("carol-gh"), approve("bob-gh"), approve("bob-gh"), approve("bob-gh"), review("carol-gh", "DISMISSED", hubHead)}
		}, 1, wait},
		"a stranger":             {func(h *hub) { h.reviews = []object{approve("stranger")} }, 1, "of stranger does not count: may not write"},
		"somebody who reads":     {func(h *hub) { h.reviews = []object{approve("reader")} }, 1, "of reader does not count: may not write"},
		"a stranger and a peer":  {func(h *hub) { h.reviews = []object{approve("stranger"), approve("carol-gh")} }, 0, "Approved by carol-gh"},
		"who is nobody any more": {func(h *hub) { h.permissions["carol-gh"] = "none"; h.reviews = []object{approve("carol-gh")} }, 1, "may not write"},

		"the pull request renames the requestor's login": {func(h *hub) {
			h.contents["countersign/add-reviewer-dan-at-example.com"] = strings.ReplaceAll(h.contents["main"], "bob-gh", "somebody-else")
			h.contents[hubHead] = h.contents["countersign/add-reviewer-dan-at-example.com"]
			h.reviews = []object{approve("bob-gh")}
		}, 1, "they asked for the change"},
		"asked under an alias": {func(h *hub) {
			h.commits[0]["commit"] = object{"message": "x\n\nRequested-by: Rob+x@Example.com"}
			h.pull["body"] = ""
			h.reviews = []object{approve("bob-gh")}
		}, 1, "they asked for the change"},
		"only the text says who":   {func(h *hub) { h.commits[0]["commit"] = object{"message": "x"}; h.reviews = []object{approve("bob-gh")} }, 1, "they asked for the change"},
		"only the commit says who": {func(h *hub) { h.pull["body"] = "edited\r\nRequested-by me"; h.reviews = []object{approve("bob-gh")} }, 1, "they asked for the change"},
		"an older commit says who": {func(h *hub) {
			h.pull["body"] = nil
			h.commits = []object{h.commits[0], commitOf(hubHead, "more", "countersign-app[bot]"), commitOf(hubHead, "more", "countersign-app[bot]")}
			h.reviews = []object{approve("bob-gh")}
		}, 1, "they asked for the change"},
		"two asked, one approves": {func(h *hub) {
			h.pull["body"] = "> **Requested-By:** carol@partner.example"
			h.reviews = []object{approve("carol-gh"), approve("bob-gh")}
		}, 1, "of carol-gh does not count: they asked"},
		"two in a line": {func(h *hub) {
			h.pull["body"] = "requested-by: Bob <bob@example.com>, Carol <carol@partner.example>"
			h.reviews = []object{approve("carol-gh")}
		}, 1, "of carol-gh does not count: they asked"},
		"two asked, a third": {func(h *hub) {
			h.pull["body"] = "Requested-by: carol@partner.example"
			h.reviews = []object{approve("erin-gh")}
		}, 0, "Approved by erin-gh"},
		"a line that names nobody": {func(h *hub) { h.pull["body"] = "Requested-by: Bob"; h.reviews = []object{approve("carol-gh")} }, 1, "names no e-mail address"},
		"nobody says for whom": {func(h *hub) {
			h.pull["body"] = ""
			h.commits[0]["commit"] = object{"message": "x"}
			h.reviews = []object{approve("carol-gh")}
		}, 1, "no line Requested-by says for whom"},
		"the same, by a user's key": {func(h *hub) {
			h.pull["body"] = ""
			h.pull["user"] = user("machine")
			h.commits = []object{commitOf(hubHead, "x", "machine")}
			h.reviews = []object{approve("carol-gh")}
		}, 1, "no line Requested-by says for whom"},

		"the requestor's login is unknown": {func(h *hub) {
			h.contents["main"] = strings.Replace(h.contents["main"], ", github: bob-gh", "", 1)
			h.reviews = []object{approve("erin-gh"), approve("bob-gh")}
		}, 1, "No GitHub login of bob@example.com stands in people on main: only somebody whose own login stands there can approve"},
		"unknown, and a known person approves": {func(h *hub) {
			h.contents["main"] = strings.Replace(h.contents["main"], ", github: bob-gh", "", 1)
			h.reviews = []object{approve("CAROL-gh")}
		}, 0, "Approved by CAROL-gh"},
		"no configuration yet":   {func(h *hub) { h.contents = nil; h.reviews = []object{approve("carol-gh")} }, 1, "nobody knows whether that is bob@example.com"},
		"a broken configuration": {func(h *hub) { h.contents["main"] = "reviewers: ["; h.reviews = []object{approve("carol-gh")} }, 1, "nobody knows whether that is bob@example.com"},

		"by hand, approved":      {func(h *hub) { byPerson(h, "erin-gh"); h.reviews = []object{approve("bob-gh")} }, 0, "Approved by bob-gh"},
		"by hand, by its author": {func(h *hub) { byPerson(h, "erin-gh"); h.reviews = []object{approve("Erin-GH")} }, 1, "they opened the pull request"},
		"by hand, not yet":       {func(h *hub) { byPerson(h, "erin-gh") }, 1, wait + "erin-gh"},
		"by hand, by its other author": {func(h *hub) {
			byPerson(h, "erin-gh")
			h.commits = append(h.commits, commitOf(hubHead, "more", "Carol-gh"))
			h.reviews = []object{approve("carol-gh")}
		}, 1, "they made a commit of it"},
		"the requestor adds a commit that names another": {func(h *hub) {
			h.pull["body"] = "Requested-by: erin@example.com"
			h.commits = []object{commitOf(hubHead, "x\n\nRequested-by: erin@example.com", "bob-gh")}
			h.reviews = []object{approve("bob-gh")}
		}, 1, "they made a commit of it"},

		"another branch": {func(h *hub) {
			h.pull["base"].(object)["ref"] = "side"
			h.contents["side"] = ""
			h.reviews = []object{approve("carol-gh")}
		}, 1, "It is for branch side, and the rules stand on main"},
		"other files":                     {func(h *hub) { h.files = []object{{"filename": "README.md"}, {"filename": "docs/countersign.yaml"}} }, 0, "no approval is needed here"},
		"other files, for another branch": {func(h *hub) { h.pull["base"].(object)["ref"] = "side"; h.files = []object{{"filename": "README.md"}} }, 1, "branch side"},
		"who signs":                       {func(h *hub) { h.files = []object{{"filename": "allowed_signers"}} }, 1, wait},
		"what runs": {func(h *hub) {
			h.files = []object{{"filename": "a"}, {"filename": "b"}, {"filename": ".github/workflows/config.yml"}}
		}, 1, wait},
		"the configuration is moved away": {func(h *hub) {
			h.files = []object{{"filename": "old.yaml", "previous_filename": "countersign.yaml", "status": "renamed"}}
		}, 1, wait},
		"gone on": {func(h *hub) {
			h.pull["head"].(object)["sha"] = hubOlder
			h.reviews = []object{review("carol-gh", "APPROVED", hubOlder)}
		}, 1, "It has gone on from 6dcb09b5b5 to 0f1e2d3c4b."},
		"more commits than are listed": {func(h *hub) { h.pull["commits"] = 251; h.reviews = []object{approve("carol-gh")} }, 1, "too large to be listed whole"},
		"more files than are listed":   {func(h *hub) { h.pull["changed_files"] = 3001; h.files = []object{{"filename": "a"}} }, 1, "too large to be listed whole"},
		"the permission cannot be read": {func(h *hub) {
			h.reviews = []object{approve("carol-gh")}
			h.faults = []hubFault{{on: "GET collab", status: 502}}
		}, 1, "permission of carol-gh"},
		"the second page cannot be read": {func(h *hub) {
			h.reviews = []object{approve("carol-gh"), approve("a"), approve("b")}
			h.faults = []hubFault{{on: "GET pulls/12/reviews", status: 500}}
		}, 1, "reviews of #12"},
		"the configuration cannot be read": {func(h *hub) {
			h.reviews = []object{approve("carol-gh")}
			h.faults = []hubFault{{on: "GET contents", status: 403, body: `{"message":"Resource not accessible by integration"}`}}
		}, 1, "read countersign.yaml of main"},
		"there is no such pull request": {func(h *hub) {
			h.faults = []hubFault{{on: "GET pulls/12", status: 404, body: `{"message":"Not Found"}`}}
		}, 1, "not found on GitHub"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			c.with(h)
			code, out, said := h.run("config", "review", "--repo", "acme/access", "--pull", "12", "--head", hubHead, "--status", "countersign/review", "--link", "https://example.com/1")
			if code != c.code || !strings.Contains(said, c.want) || out != "" {
				t.Errorf("exit code %d, want %d; stdout %q, stderr:\n%s", code, c.code, out, said)
			}
			h.wantStatus(code == 0)
		})
	}
}

// wantStatus: the mark on the commit began as pending and says in the end what
// the exit code says.
func (h *hub) wantStatus(approved bool) {
	h.t.Helper()
	if len(h.statuses) < 2 || h.statuses[0]["state"] != "pending" {
		h.t.Fatalf("statuses: %v", h.statuses)
	}
	last := h.statuses[len(h.statuses)-1]
	if got := last["state"] == "success"; got != approved || last["sha"] != hubHead || last["context"] != "countersign/review" || last["target_url"] != "https://example.com/1" {
		h.t.Errorf("the last status is %v, want success=%t", last, approved)
	}
}

// TestConfigReviewComesBackLater: a limit is waited for, and a long one is a
// failure, which is no approval.
func TestConfigReviewComesBackLater(t *testing.T) {
	t.Parallel()
	secondary := `{"message":"You have exceeded a secondary rate limit","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	for name, c := range map[string]struct {
		fault hubFault
		code  int
	}{
		"secondary": {hubFault{"GET pulls/12/reviews", 403, map[string]string{"Retry-After": "1"}, secondary}, 0},
		"429":       {hubFault{"GET pulls/12/files", 429, map[string]string{"Retry-After": "1"}, `{"message":"slow down"}`}, 0},
		"a date":    {hubFault{"GET collab", 429, map[string]string{"Retry-After": time.Now().Add(time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}, `{}`}, 0},
		"hourly": {hubFault{"GET contents", 403, map[string]string{
			"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(time.Now().Unix() + 1),
		}, `{"message":"API rate limit exceeded"}`}, 0},
		"too long": {hubFault{"GET pulls/12/commits", 429, map[string]string{"Retry-After": "3600"}, `{}`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			h.reviews, h.faults = []object{approve("carol-gh")}, []hubFault{c.fault}
			code, _, said := h.run("config", "review", "--repo", "acme/access", "--pull", "12")
			if code != c.code || len(h.faults) > 0 {
				t.Errorf("exit code %d, want %d; %d faults left:\n%s", code, c.code, len(h.faults), said)
			}
		})
	}
}

// TestConfigReviewFromFork: where no status can be set, the run says it, and the
// exit code still tells the verdict.
func TestConfigReviewFromFork(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"carol-gh", "bob-gh"} {
		h := newHub(t)
		h.readOnly, h.reviews = true, []object{approve(who)}
		code, _, said := h.run("config", "review", "--repo", "acme/access", "--pull", "12", "--head", hubHead, "--status", "countersign/review")
		if want := map[string]int{"carol-gh": 0, "bob-gh": 1}[who]; code != want || strings.Count(said, "may not set the status") != 1 || len(h.statuses) > 0 {
			t.Errorf("%s: exit code %d, want %d:\n%s", who, code, want, said)
		}
	}
}

// TestConfigReviewUsage: what cannot be meant is said before anything is asked.
func TestConfigReviewUsage(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"review", "review --pull 12", "review --repo acme/access", "review --repo ../x/y --pull 1", "review --repo acme/access --pull -1",
		"comment", "comment f", "comment f --repo acme/access", "comment f --repo acme --pull 1", "preview", "preview a", "preview a b", "preview a b --repo . --since soon"} {
		h := newHub(t)
		if code, out, _ := h.run(append([]string{"config"}, strings.Fields(args)...)...); code != exitUsage || out != "" || len(h.calls) > 0 {
			t.Errorf("%s: exit code %d, stdout %q, calls %v", args, code, out, h.calls)
		}
	}
}
