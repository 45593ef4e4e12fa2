package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
)

func TestFilter(t *testing.T) {
	s := begin(t)
	s.must(bob, access.Approve{Request: id, For: time.Hour})
	s.must(nobody, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent}, access.Confirm{Request: id})
	s.must(carol, access.Say{Request: id, TS: "1", Text: "Please say ÄRGER more"})
	for _, c := range []struct {
		name string
		f    access.Filter
		want bool
	}{
		{"nothing asked", access.Filter{}, true},
		{"a word of the reason", access.Filter{Text: "WHY"}, true},
		{"a part of a word in the thread", access.Filter{Text: "leas"}, true},
		{"other case of another alphabet", access.Filter{Text: "ärger"}, true},
		{"all words", access.Filter{Text: "why please admins"}, true},
		{"one word too many", access.Filter{Text: "why never"}, false},
		{"its id", access.Filter{Text: id}, true},
		{"how its id begins, in small letters", access.Filter{ID: strings.ToLower(id[:6])}, true},
		{"how its id ends", access.Filter{ID: id[len(id)-6:]}, true},
		{"what is in the middle of its id", access.Filter{ID: id[1 : len(id)-1]}, false},
		{"who asked", access.Filter{Person: []string{"alice@example.com"}}, true},
		{"who gets it, by Slack id", access.Filter{Person: []string{"UERIN"}}, true},
		{"who approved", access.Filter{Person: []string{"bob@example.com"}}, true},
		{"who only wrote", access.Filter{Person: []string{"carol@partner.example"}}, false},
		{"its resource", access.Filter{Resource: "admins"}, true},
		{"a part of its resource", access.Filter{Resource: "admin"}, false},
		{"its provider", access.Filter{Provider: "gitops"}, true},
		{"another provider", access.Filter{Provider: "github"}, false},
		{"its status", access.Filter{Status: []access.Status{access.Pending, access.Live}}, true},
		{"another status", access.Filter{Status: []access.Status{access.Pending}}, false},
		{"its source", access.Filter{Source: access.ByReviewer}, true},
		{"another source", access.Filter{Source: access.ByGroup}, false},
		{"a policy", access.Filter{Policy: "p"}, false},
		{"filed since", access.Filter{From: t0}, true},
		{"filed after", access.Filter{From: t0.Add(time.Second)}, false},
		{"filed before", access.Filter{To: t0.Add(time.Second)}, true},
		{"filed before, which leaves it out", access.Filter{To: t0}, false},
		{"one of the two in it", access.Filter{Involves: []string{"erin@example.com"}}, true},
		{"not its approver", access.Filter{Involves: []string{"bob@example.com", "UBOB"}}, false},
		{"nobody", access.Filter{Involves: []string{}}, false},
	} {
		if got := c.f.Match(s.r); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestKeys(t *testing.T) {
	r := with(func(r *access.Rules) {
		r.People = []access.Known{{Email: "alice@example.com", Aliases: []string{"al@example.com"}, Slack: []string{"U2"}}}
	})
	got := r.Keys(access.Person{Email: "AL+x@example.com", Slack: "U3"})
	slices.Sort(got)
	if d := cmp.Diff([]string{"U2", "U3", "al@example.com", "alice@example.com"}, got); d != "" {
		t.Error(d)
	}
	if got := r.Keys(access.Person{}); len(got) != 0 {
		t.Errorf("nobody has the keys %v", got)
	}
}

// TestFigures counts one request of each state.
func TestFigures(t *testing.T) {
	var all []access.Request
	fates := map[access.Fate]int{}
	for _, state := range states {
		s := begin(t)
		state.reach(s)
		all = append(all, s.r)
		fates[access.FateOf(s.r.Shown())]++
	}
	late := t0.Add(2 * time.Hour)
	got := access.Count(all, late)
	if d := cmp.Diff([]access.Day{{Date: t0.Truncate(24 * time.Hour), Fates: fates}}, got.Days); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]access.Tally{{Name: "admins", Count: 3}}, got.Live); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]access.Decider{{Email: "bob@example.com", Approved: 9, Denied: 1, Median: time.Minute}}, got.Deciders); d != "" {
		t.Error(d)
	}
	if got.Waits != [7]int{10} {
		t.Errorf("waits %v", got.Waits)
	}
	for _, o := range got.Overruns {
		if o.By <= access.Grace || o.Ended {
			t.Errorf("overrun %+v", o)
		}
	}
	if len(got.Overruns) != 3 {
		t.Errorf("%d overruns, want the three that are live after their expiry", len(got.Overruns))
	}
	if m := access.Median([]time.Duration{3, 1, 2, 10}); m != 2 {
		t.Errorf("median %d", m)
	}
}

func TestLiveAt(t *testing.T) {
	s := begin(t)
	live(s)
	granted := s.r.Grant.GrantedAt
	s.must(carol, access.Revoke{Request: id})
	s.must(nobody, access.Finish{Request: id})
	for at, want := range map[time.Time]bool{
		t0: false, granted.Add(-time.Second): false, granted: true,
		s.r.End.At.Add(-time.Second): true, s.r.End.At: false,
	} {
		if got := s.r.LiveAt(at); got != want {
			t.Errorf("at %s: %v", at, got)
		}
	}
}

// TestEndings: they are the statuses that have ended.
func TestEndings(t *testing.T) {
	for _, s := range []access.Status{
		access.Pending, access.Approved, access.Live, access.Denied, access.Cancelled, access.TimedOut, access.Expired, access.Revoked, access.GivenBack, access.Failed,
	} {
		if slices.Contains(access.Endings, s) != s.Ended() {
			t.Errorf("%s", s)
		}
	}
}
