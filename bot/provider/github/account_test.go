package github_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
	"countersign/bot/provider/github/githubtest"
)

// places are one target of each kind.
func places() map[string]access.Target {
	return map[string]access.Target{"team": team("payments-admins", "member"), "repository": repository("payments", "push")}
}

func TestSubject(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	// The log's judge compares with the configuration, letter by letter.
	got, err := p.Subject(within(t), team("search", "member"), access.Account{GitHub: "Alice-GH"})
	if got != "Alice-GH#101" || err != nil {
		t.Errorf("Subject = %q, %v; want Alice-GH#101", got, err)
	}
	h.Do(func() {
		h.Answer["GET /users/renamed"] = githubtest.OK(h.Show(102))
		h.Answer["GET /users/empty"] = githubtest.Reply{Status: 200}
	})
	for login, want := range map[string]string{
		"nobody-gh": "renamed or deleted", "acme": "no person's account (Organization)", "../orgs/acme": "cannot be a login",
		"renamed": "another account", "empty": "another account",
	} {
		got, err := p.Subject(within(t), team("search", "member"), access.Account{Email: "x@example.com", GitHub: login})
		if got != "" || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "people.github") {
			t.Errorf("%s: Subject = %q, %v; want an error that says %q", login, got, err, want)
		}
		if errors.Is(err, access.ErrNoAccount) {
			t.Errorf("%s: %v ends the request for good, though the configuration can be mended", login, err)
		}
	}
}

func TestBadSubjects(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	for _, subject := range []string{"", "alice-gh", "alice-gh#", "alice-gh#0", "alice-gh#-1", "alice-gh#1x", "#101", "a/b#101"} {
		o := order(team("search", "member"), subject)
		_, has := p.Has(within(t), o.Target, subject)
		for call, err := range map[string]error{"Has": has, "Grant": p.Grant(within(t), o), "Revoke": p.Revoke(within(t), o)} {
			if err == nil || !strings.Contains(err.Error(), "login#id") {
				t.Errorf("%s of %q answers %v", call, subject, err)
			}
		}
	}
	if got := h.Reset(); len(got) != 0 {
		t.Errorf("requests were made: %q", got)
	}
}

// TestRenamed: the number is who is meant. Somebody else who took the old login
// gets nothing and loses nothing.
func TestRenamed(t *testing.T) {
	for name, at := range places() {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			p := provider(t, h)
			o := order(at, "alice-gh#101")
			rename := func(id int64, login string) {
				h.Do(func() { h.Users[id] = &githubtest.User{Login: login, Kind: "User"}; h.Members[id] = true })
			}
			rename(101, "alice-new")
			rename(150, "alice-gh")
			if err := p.Grant(within(t), o); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"alice-new#101"}, h.holders(at)); d != "" {
				t.Fatalf("holders after the grant (-want +got)\n%s", d)
			}
			h.give(t, at, "alice-gh#150")
			rename(101, "alice-newer")
			if got, err := p.Has(within(t), at, o.Subject); got != access.Present || err != nil {
				t.Errorf("Has = %q, %v; want present", got, err)
			}
			if err := p.Revoke(within(t), o); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"alice-gh#150"}, h.holders(at)); d != "" {
				t.Errorf("holders after the revocation (-want +got)\n%s", d)
			}
			if got, err := p.Has(within(t), at, o.Subject); got != access.Absent || err != nil {
				t.Errorf("Has = %q, %v; want absent", got, err)
			}
		})
	}
}

// TestDeletedAccount: nobody is left who could have the access.
func TestDeletedAccount(t *testing.T) {
	for name, at := range places() {
		h := newHub(t)
		p := provider(t, h)
		h.Do(func() { delete(h.Users, 101) })
		o := order(at, "alice-gh#101")
		if got, err := p.Has(within(t), at, o.Subject); got != access.Absent || err != nil {
			t.Errorf("%s: Has = %q, %v; want absent", name, got, err)
		}
		if err := p.Revoke(within(t), o); err != nil {
			t.Errorf("%s: Revoke: %v", name, err)
		}
		if err := p.Grant(within(t), o); err == nil || !strings.Contains(err.Error(), "deleted") {
			t.Errorf("%s: Grant answers %v", name, err)
		}
		if got := changes(h.Reset()); len(got) != 0 {
			t.Errorf("%s: changes: %q", name, got)
		}
	}
}

// TestWrongAccount: an answer about somebody else is no answer.
func TestWrongAccount(t *testing.T) {
	for name, at := range places() {
		for answer, who := range map[string]int64{"another": 102, "empty": 0} {
			h := newHub(t)
			p := provider(t, h)
			o := order(at, "alice-gh#101")
			for call, do := range map[string]func() error{
				"Grant":  func() error { return p.Grant(within(t), o) },
				"Revoke": func() error { return p.Revoke(within(t), o) },
				"Has":    func() error { _, err := p.Has(within(t), at, o.Subject); return err },
			} {
				h.Do(func() {
					h.Answer["GET /user/101"] = githubtest.Reply{Status: 200}
					if who > 0 {
						h.Answer["GET /user/101"] = githubtest.OK(h.Show(who))
					}
				})
				if err := do(); err == nil || !strings.Contains(err.Error(), "another account") {
					t.Errorf("%s, %s: %s answers %v", name, answer, call, err)
				}
			}
			if got := changes(h.Reset()); len(got) != 0 {
				t.Errorf("%s, %s: changes: %q", name, answer, got)
			}
		}
	}
}

// TestLoginChangesHands: between the question who somebody is and the invitation
// the login became somebody else's. They must not be invited.
func TestLoginChangesHands(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() {
		a := githubtest.OK(h.Show(104))
		a.Then = func() {
			h.Users[104] = &githubtest.User{Login: "zoe-new", Kind: "User"}
			h.Users[150] = &githubtest.User{Login: "zoe-out", Kind: "User"}
		}
		h.Answer["GET /user/104"] = a
	})
	at := repository("payments", "push")
	err := p.Grant(within(t), order(at, "zoe-out#104"))
	if err == nil || !strings.Contains(err.Error(), "somebody else's") {
		t.Errorf("Grant answers %v", err)
	}
	if got := h.holders(at); len(got) != 0 {
		t.Errorf("holders: %q", got)
	}
	invited(t, p.Grant(within(t), order(at, "zoe-out#104")), "GitHub has invited zoe-new to the repository acme/payments: the access begins when they accept at https://github.com/acme/payments/invitations.")
	if d := cmp.Diff([]string{"zoe-new#104"}, h.holders(at)); d != "" {
		t.Errorf("holders (-want +got)\n%s", d)
	}
}
