package github_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
	"countersign/bot/provider/github/githubtest"
)

// TestCollaboratorBefore: a direct permission or an invitation that was there
// before is neither raised nor lowered, and always counts as present.
func TestCollaboratorBefore(t *testing.T) {
	tests := []struct {
		direct, through, invited, asked string
		grant                           string // what the refusal says; empty: succeeds
	}{
		{direct: "write", asked: "push"},
		{direct: "admin", asked: "pull"},
		{direct: "maintain", asked: "triage"},
		{direct: "read", asked: "triage", grant: "(read), which is less"},
		{direct: "triage", asked: "push", grant: "(triage), which is less"},
		{direct: "write", asked: "maintain", grant: "(write), which is less"},
		{direct: "maintain", asked: "admin", grant: "(maintain), which is less"},
		// A role of the organization's own, based on write.
		{direct: "deployer", asked: "push"},
		{direct: "deployer", asked: "admin", grant: "(deployer), which is less"},
		// What GitHub lists is the highest of all sources.
		{direct: "read", through: "write", asked: "push"},
		{direct: "read", through: "write", asked: "admin", grant: "(write), which is less"},
		{invited: "write", asked: "push"},
		{invited: "admin", asked: "push"},
		{invited: "read", asked: "push", grant: "(invited, read), which is less"},
		{invited: "something", asked: "pull", grant: "(invited, something), which is less"},
	}
	for _, tt := range tests {
		h := newHub(t)
		h.PerPage = 1
		p := provider(t, h)
		h.Do(func() {
			r := h.Repos["acme/payments"]
			if tt.direct != "" {
				r.Direct[101] = tt.direct
			}
			if tt.through != "" {
				r.Through[101] = tt.through
			}
			if tt.invited != "" {
				r.Invites = []githubtest.Invite{{ID: 1, Who: 102, Role: "admin"}, {ID: 2, Who: 101, Role: tt.invited}}
			}
		})
		o := order(repository("payments", tt.asked), "alice-gh#101")
		if got, err := p.Has(within(t), o.Target, o.Subject); got != access.Present || err != nil {
			t.Errorf("%+v: Has = %q, %v; want present", tt, got, err)
		}
		err := fine(p.Grant(within(t), o))
		if (err == nil) != (tt.grant == "") || err != nil && !strings.Contains(err.Error(), tt.grant) {
			t.Errorf("%+v: Grant answers %v", tt, err)
		}
		if got := changes(h.Reset()); len(got) != 0 {
			t.Errorf("%+v: changes: %q", tt, got)
		}
	}
}

// TestThroughTeams: what comes through teams is not ours, and stays.
func TestThroughTeams(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() { h.Repos["acme/payments"].Through[101] = "admin" })
	o := order(repository("payments", "push"), "alice-gh#101")
	if got, err := p.Has(within(t), o.Target, o.Subject); got != access.Absent || err != nil {
		t.Errorf("Has = %q, %v; want absent", got, err)
	}
	if err := p.Grant(within(t), o); err != nil {
		t.Fatal(err)
	}
	h.Do(func() {
		if got := h.Repos["acme/payments"].Direct[101]; got != "write" {
			t.Errorf("given: %q", got)
		}
	})
	if err := p.Revoke(within(t), o); err != nil {
		t.Fatal(err)
	}
	if got := h.holders(o.Target); len(got) != 0 {
		t.Errorf("holders: %q", got)
	}
}

// TestOwnerOfAll: GitHub agrees to a permission for an owner and makes none.
func TestOwnerOfAll(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	has, grant, revoke := outcome(t, p, order(repository("payments", "push"), "olga-owns#106"))
	if has != "absent" || !strings.Contains(grant, "they own the organization") || revoke != "ok" {
		t.Errorf("Has %s, Grant %s, Revoke %s", has, grant, revoke)
	}
}

func TestCollaboratorInvitation(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	o := order(repository("payments", "maintain"), "zoe-out#104")
	const waits = "GitHub has invited zoe-out to the repository acme/payments: the access begins when they accept at https://github.com/acme/payments/invitations."
	for range 2 {
		invited(t, p.Grant(within(t), o), waits)
	}
	if d := cmp.Diff([]string{"PUT /repos/acme/payments/collaborators/zoe-out"}, changes(h.Reset())); d != "" {
		t.Errorf("changes (-want +got)\n%s", d)
	}
	accept := func() {
		r := h.Repos["acme/payments"]
		r.Direct[104], r.Invites = r.Invites[0].Role, nil
	}
	h.Do(accept)
	if got, err := p.Has(within(t), o.Target, o.Subject); got != access.Present || err != nil {
		t.Errorf("Has after the acceptance = %q, %v", got, err)
	}
	if err := p.Grant(within(t), o); err != nil {
		t.Errorf("Grant after the acceptance: %v", err)
	}
	if err := p.Revoke(within(t), o); err != nil {
		t.Fatal(err)
	}
	if got := h.holders(o.Target); len(got) != 0 {
		t.Errorf("holders: %q", got)
	}

	// Accepted while the revocation looks: it is found all the same.
	invited(t, p.Grant(within(t), o), waits)
	h.Do(func() {
		a := githubtest.OK([]any{h.Invitation(h.Repos["acme/payments"].Invites[0], "acme/payments")})
		a.Then = accept
		h.Answer["GET /repos/acme/payments/invitations"] = a
	})
	if err := p.Revoke(within(t), o); err != nil {
		t.Fatal(err)
	}
	if got := h.holders(o.Target); len(got) != 0 {
		t.Errorf("holders: %q", got)
	}
}

// TestLapsedInvitation: it gives nothing, and makes room for a new one.
func TestLapsedInvitation(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() {
		h.Repos["acme/payments"].Invites = []githubtest.Invite{{ID: 8, Who: 102, Role: "write", Expired: true}, {ID: 9, Who: 104, Role: "admin", Expired: true}}
	})
	o := order(repository("payments", "push"), "zoe-out#104")
	if got, err := p.Has(within(t), o.Target, o.Subject); got != access.Absent || err != nil {
		t.Errorf("Has = %q, %v; want absent", got, err)
	}
	invited(t, p.Grant(within(t), o), "GitHub has invited zoe-out to the repository acme/payments: the access begins when they accept at https://github.com/acme/payments/invitations.")
	want := []string{"DELETE /repos/acme/payments/invitations/9", "PUT /repos/acme/payments/collaborators/zoe-out"}
	if d := cmp.Diff(want, changes(h.Reset())); d != "" {
		t.Errorf("changes (-want +got)\n%s", d)
	}
}

// TestRepositoryNotFound: gone only for an App that would see every repository.
func TestRepositoryNotFound(t *testing.T) {
	for install, gone := range map[string]bool{"": false, "selected": false, "all": true} {
		h := newHub(t)
		p := provider(t, h)
		h.Do(func() { delete(h.Repos, "acme/payments"); h.Install = install })
		has, grant, revoke := outcome(t, p, order(repository("payments", "push"), "alice-gh#101"))
		if gone {
			if has != "absent" || !strings.Contains(grant, "there is no such repository") || revoke != "ok" {
				t.Errorf("installed on %s: Has %s, Grant %s, Revoke %s", install, has, grant, revoke)
			}
			continue
		}
		for call, got := range map[string]string{"Has": has, "Grant": grant, "Revoke": revoke} {
			if !strings.Contains(got, "the token does not see it") {
				t.Errorf("installed on %q: %s answers %s", install, call, got)
			}
		}
	}
}

// TestHalfLists: who is not in half a list may be in the other half.
func TestHalfLists(t *testing.T) {
	const invitations, collaborators = "GET /repos/acme/payments/invitations", "GET /repos/acme/payments/collaborators"
	link := func(page string) map[string]string {
		return map[string]string{"Link": `<https://api.github.com/x?page=` + page + `>; rel="next"`}
	}
	for name, a := range map[string]githubtest.Reply{
		"null": {Status: 200, Body: "null"}, "empty": {Status: 200}, "no list": {Status: 200, Body: "{}"}, "cut": {Status: 200, Body: `[{"id":1}`},
		"same page": {Status: 200, Body: "[]", Header: link("1")}, "page back": {Status: 200, Body: "[]", Header: link("-3")}, "far page": {Status: 200, Body: "[]", Header: link("77")},
		"server": {Status: 502, Body: "<html>"}, "accepted": {Status: 202, Body: "{}"},
	} {
		for _, path := range []string{invitations, collaborators} {
			h := newHub(t)
			p := provider(t, h)
			o := order(repository("payments", "push"), "alice-gh#101")
			h.give(t, o.Target, o.Subject)
			for call, do := range map[string]func() error{
				"Has":    func() error { _, err := p.Has(within(t), o.Target, o.Subject); return err },
				"Grant":  func() error { return p.Grant(within(t), o) },
				"Revoke": func() error { return p.Revoke(within(t), o) },
			} {
				h.Do(func() { h.Answer[path] = a })
				if err := do(); err == nil {
					t.Errorf("%s of %s: %s answers nil", name, path, call)
				}
			}
			if got := changes(h.Reset()); len(got) != 0 {
				t.Errorf("%s of %s: changes: %q", name, path, got)
			}
		}
	}
}

// TestListMovesUp: somebody leaves while a list is read, and who comes after
// them is on neither page.
func TestListMovesUp(t *testing.T) {
	h := newHub(t)
	h.PerPage = 1
	p := provider(t, h)
	o := order(repository("payments", "push"), "zoe-out#104")
	h.Do(func() {
		r := h.Repos["acme/payments"]
		r.Invites = []githubtest.Invite{{ID: 1, Who: 105, Role: "write"}, {ID: 2, Who: 104, Role: "write"}, {ID: 3, Who: 102, Role: "read"}}
		a := githubtest.OK([]any{h.Invitation(r.Invites[0], "acme/payments")})
		a.Header = map[string]string{"Link": fmt.Sprintf(`<%s/x?page=2>; rel="next"`, h.URL)}
		a.Then = func() { r.Invites = r.Invites[1:] }
		h.Answer["GET /repos/acme/payments/invitations"] = a
	})
	if got, err := p.Has(within(t), o.Target, o.Subject); got != access.Present || err != nil {
		t.Errorf("Has = %q, %v; want present", got, err)
	}
}

// TestRenamedRepository: GitHub says where it is now, within the same API.
func TestRenamedRepository(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() { h.Repos["acme/paid"] = h.Repos["acme/payments"]; delete(h.Repos, "acme/payments") })
	moved := func(status int, method, path string) {
		h.Answer[method+" /repos/acme/payments/"+path] = githubtest.Reply{Status: status, Body: `{"message":"Moved Permanently"}`, Header: map[string]string{"Location": h.URL + "/api/v3/repos/acme/paid/" + path}}
	}
	o := order(repository("payments", "push"), "zoe-out#104")
	h.Do(func() {
		moved(307, "PUT", "collaborators/zoe-out")
		h.Answer["GET /repos/acme/payments/invitations"] = githubtest.OK([]any{})
		h.Answer["GET /repos/acme/payments/collaborators"] = githubtest.OK([]any{})
	})
	if err := fine(p.Grant(within(t), o)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"zoe-out#104"}, h.holders(repository("paid", "push"))); d != "" {
		t.Errorf("holders (-want +got)\n%s", d)
	}
	// A change that would become a look is not taken for done.
	h.Do(func() {
		delete(h.Repos["acme/paid"].Direct, 101)
		moved(301, "PUT", "collaborators/alice-gh")
		h.Answer["GET /repos/acme/payments/invitations"] = githubtest.OK([]any{})
		h.Answer["GET /repos/acme/payments/collaborators"] = githubtest.OK([]any{})
	})
	if err := p.Grant(within(t), order(o.Target, "alice-gh#101")); err == nil || !strings.Contains(err.Error(), "renamed or moved") {
		t.Errorf("Grant answers %v", err)
	}
}

// TestNoTokenElsewhere: a redirect to another host is not followed.
func TestNoTokenElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s came with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	h := newHub(t)
	p := provider(t, h)
	for _, status := range []int{301, 302, 307, 308} {
		h.Do(func() {
			h.Answer["GET /user/101"] = githubtest.Reply{Status: status, Header: map[string]string{"Location": elsewhere.URL + "/user/101"}}
		})
		if _, err := p.Has(within(t), repository("payments", "push"), "alice-gh#101"); err == nil || !strings.Contains(err.Error(), "renamed or moved") {
			t.Errorf("%d: Has answers %v", status, err)
		}
	}
}
