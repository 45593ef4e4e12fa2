package github_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/github"
	"countersign/bot/provider/github/githubtest"
)

// outcome is what the three calls say, in that order: an error's text, or what
// is said without one.
func outcome(t *testing.T, p *github.Provider, o access.Order) (has, grant, revoke string) {
	t.Helper()
	text := func(err error) string {
		if err != nil {
			return err.Error()
		}
		return "ok"
	}
	presence, err := p.Has(within(t), o.Target, o.Subject)
	has = string(presence)
	if err != nil {
		if presence != access.Unknown {
			t.Errorf("Has says %q with %v", presence, err)
		}
		has = err.Error()
	}
	return has, text(p.Grant(within(t), o)), text(p.Revoke(within(t), o))
}

// TestTeamBefore: who is in the team already is neither raised nor lowered.
func TestTeamBefore(t *testing.T) {
	tests := []struct{ before, asked, grant string }{
		{"member", "member", ""},
		{"maintainer", "member", ""},
		{"maintainer", "maintainer", ""},
		{"member", "maintainer", "(member), which is less"},
		{"pending member", "member", ""},
		{"pending member", "maintainer", "(member), which is less"},
	}
	for _, tt := range tests {
		h := newHub(t)
		p := provider(t, h)
		h.Do(func() { h.Teams["acme/search"].Members[101] = tt.before })
		o := order(team("search", tt.asked), "alice-gh#101")
		if got, err := p.Has(within(t), o.Target, o.Subject); got != access.Present || err != nil {
			t.Errorf("%s for %s: Has = %q, %v; want present", tt.before, tt.asked, got, err)
		}
		err := fine(p.Grant(within(t), o))
		if (err == nil) != (tt.grant == "") || err != nil && !strings.Contains(err.Error(), tt.grant) {
			t.Errorf("%s for %s: Grant answers %v, want %q", tt.before, tt.asked, err, tt.grant)
		}
		if got := changes(h.Reset()); len(got) != 0 {
			t.Errorf("%s for %s: changes: %q", tt.before, tt.asked, got)
		}
	}
}

// TestTeamInvitation: a person from outside is invited, and that is told.
func TestTeamInvitation(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	o := order(team("search", "member"), "zoe-out#104")
	for range 2 {
		invited(t, p.Grant(within(t), o), "GitHub has invited zoe-out to the team acme/search: the access begins when they accept.")
	}
	if d := cmp.Diff([]string{"PUT /orgs/acme/teams/search/memberships/zoe-out"}, changes(h.Reset())); d != "" {
		t.Errorf("changes (-want +got)\n%s", d)
	}
	h.Do(func() { h.Teams["acme/search"].Members[104] = "member" }) // accepts
	if err := p.Grant(within(t), o); err != nil {
		t.Errorf("Grant after the acceptance: %v", err)
	}
	if err := p.Revoke(within(t), o); err != nil {
		t.Fatal(err)
	}
	if got := h.holders(o.Target); len(got) != 0 {
		t.Errorf("holders: %q", got)
	}
}

// TestOwnerInTeam: GitHub calls an owner of the organization a maintainer.
func TestOwnerInTeam(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	has, grant, revoke := outcome(t, p, order(team("search", "member"), "olga-owns#106"))
	if has != "absent" || grant != "ok" || revoke != "ok" {
		t.Errorf("Has %s, Grant %s, Revoke %s, or notes", has, grant, revoke)
	}
	if got := h.holders(team("search", "member")); len(got) != 0 {
		t.Errorf("holders: %q", got)
	}
}

// TestSyncedTeam: the members are an identity provider's to change.
func TestSyncedTeam(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() { h.Teams["acme/search"].Synced, h.Teams["acme/search"].Members[102] = true, "member" })
	if err := p.Grant(within(t), order(team("search", "member"), "alice-gh#101")); err == nil || !strings.Contains(err.Error(), "kept by an identity provider") {
		t.Errorf("Grant answers %v", err)
	}
	if err := p.Revoke(within(t), order(team("search", "member"), "bob-gh#102")); err == nil || !strings.Contains(err.Error(), "kept by an identity provider") {
		t.Errorf("Revoke answers %v", err)
	}
}

// TestChildTeam: GitHub counts the members of child teams as members.
func TestChildTeam(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() { h.Teams["acme/search"].Below[101] = true })
	has, grant, revoke := outcome(t, p, order(team("search", "member"), "alice-gh#101"))
	if has != "present" || grant != "ok" || !strings.Contains(revoke, "child team") {
		t.Errorf("Has %s, Grant %s, Revoke %s", has, grant, revoke)
	}
}

// TestTeamNotFound: "not found" is gone only for a githubtest.Token that sees the rest.
func TestTeamNotFound(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	o := order(team("search", "member"), "alice-gh#101")
	h.Do(func() { h.Teams["acme/search"].Members[101] = "member"; h.Blind = true })
	has, grant, revoke := outcome(t, p, o)
	for call, got := range map[string]string{"Has": has, "Grant": grant, "Revoke": revoke} {
		if !strings.Contains(got, "the token does not see it") {
			t.Errorf("blind: %s answers %s", call, got)
		}
	}
	h.Do(func() { h.Blind = false; delete(h.Teams, "acme/search") })
	has, grant, revoke = outcome(t, p, o)
	if has != "absent" || !strings.Contains(grant, "there is no such team") || revoke != "ok" {
		t.Errorf("gone: Has %s, Grant %s, Revoke %s", has, grant, revoke)
	}
	if got := changes(h.Reset()); len(got) != 0 {
		t.Errorf("changes: %q", got)
	}
}

// TestOddMemberships: what cannot be understood is not taken for anything.
func TestOddMemberships(t *testing.T) {
	const path = " /orgs/acme/teams/search/memberships/alice-gh"
	for _, body := range []string{``, `{}`, `null`, `{"state":"active"}`, `{"role":"member"}`, `{"state":"suspended","role":"member"}`, `{"state":"active","role":"owner"}`, `[]`, `{"sta`} {
		h := newHub(t)
		p := provider(t, h)
		o := order(team("search", "member"), "alice-gh#101")
		odd := func(method string) {
			h.Do(func() { h.Answer[method+path] = githubtest.Reply{Status: 200, Body: body} })
		}
		odd("GET")
		if got, err := p.Has(within(t), o.Target, o.Subject); err == nil || got != access.Unknown {
			t.Errorf("%s: Has = %q, %v; want an error", body, got, err)
		}
		odd("GET")
		if err := p.Revoke(within(t), o); err == nil {
			t.Errorf("%s: Revoke answers nil", body)
		}
		odd("PUT")
		if err := p.Grant(within(t), o); err == nil {
			t.Errorf("%s: Grant answers nil", body)
		}
	}
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() { h.Answer["PUT"+path] = githubtest.OK(map[string]string{"state": "active", "role": "member"}) })
	if err := p.Grant(within(t), order(team("search", "maintainer"), "alice-gh#101")); err == nil || !strings.Contains(err.Error(), "not maintainer") {
		t.Errorf("Grant of maintainer that gave member answers %v", err)
	}
}

// TestLostAnswers: a change is made, and nobody says so. It is made once.
func TestLostAnswers(t *testing.T) {
	for name, at := range places() {
		for _, login := range []string{"alice-gh#101", "zoe-out#104"} {
			h := newHub(t)
			p := provider(t, h)
			o := order(at, login)
			for i, do := range []func(context.Context, access.Order) error{p.Grant, p.Revoke} {
				call := []string{"Grant", "Revoke"}[i]
				h.Do(func() { h.Fault = bottest.HangsAfter })
				ctx, cancel := context.WithCancel(within(t))
				go func() { // a deadline could end before the change is made
					for h.pending() && ctx.Err() == nil {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
				err := do(ctx, o)
				cancel()
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%s, %s: %s answers %v", name, login, call, err)
				}
				h.Reset()
				if err := fine(do(within(t), o)); err != nil {
					t.Errorf("%s, %s: %s, asked again: %v", name, login, call, err)
				}
				if got := changes(h.Reset()); len(got) != 0 {
					t.Errorf("%s, %s: %s, asked again, changes %q", name, login, call, got)
				}
			}
		}
	}
}

// TestGoneMeanwhile: somebody else was faster.
func TestGoneMeanwhile(t *testing.T) {
	for path, at := range map[string]access.Target{
		"DELETE /orgs/acme/teams/search/memberships/alice-gh": team("search", "member"),
		"DELETE /repos/acme/search.go/collaborators/alice-gh": repository("search.go", "push"),
		"DELETE /repos/acme/search.go/invitations/9":          repository("search.go", "pull"),
	} {
		h := newHub(t)
		p := provider(t, h)
		h.give(t, at, "alice-gh#101")
		if strings.HasSuffix(path, "/9") {
			h.take(t, at, "alice-gh#101")
			h.Do(func() { h.Repos["acme/search.go"].Invites = []githubtest.Invite{{ID: 9, Who: 101, Role: "read"}} })
		}
		a := githubtest.NotFound()
		a.Then = func() {
			delete(h.Teams["acme/search"].Members, 101)
			delete(h.Repos["acme/search.go"].Direct, 101)
			h.Repos["acme/search.go"].Invites = nil
		}
		h.Do(func() { h.Answer[path] = a })
		if err := p.Revoke(within(t), order(at, "alice-gh#101")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if d := cmp.Diff([]string{path}, changes(h.Reset())); d != "" {
			t.Errorf("changes (-want +got)\n%s", d)
		}
		// Nothing was changed by "not found" alone.
		h.give(t, at, "alice-gh#101")
		a = githubtest.NotFound()
		h.Do(func() { h.Answer[strings.Replace(path, "invitations/9", "collaborators/alice-gh", 1)] = a })
		if err := p.Revoke(within(t), order(at, "alice-gh#101")); err == nil || !strings.Contains(err.Error(), "still there") {
			t.Errorf("%s: not found, and still there: Revoke answers %v", path, err)
		}
	}
}
