package access_test

import (
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzLife drives a request by random actions of random people, with steps of
// the clock in both directions and changing rules, and checks the invariants
// after every step.
func FuzzLife(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{0x10, 0x82, 0x33, 0xff, 0x07, 0x91, 0x2a, 0x5c, 0x66, 0x71, 0x08, 0x19})
	f.Fuzz(func(t *testing.T, script []byte) {
		s := begin(t)
		people := []access.Person{alice, erin, bob, carol, dan, nobody}
		variants := []*access.Rules{
			rules(),
			with(func(r *access.Rules) { r.Reviewers = []string{"bob@example.com"} }),
			with(func(r *access.Rules) {
				r.Settings.OneParty = true
				r.Reviewers = append(r.Reviewers, "erin@example.com")
			}),
			with(func(r *access.Rules) { r.Resources[0].MaxDuration = time.Hour }),
		}
		filed := s.rules
		for i := 0; i+1 < len(script); i += 2 {
			a, b := script[i], script[i+1]
			s.now = s.now.Add(time.Duration(int8(b)) * time.Duration(1+a%7) * time.Minute)
			today := variants[int(b)%len(variants)]
			who := people[int(a>>4)%len(people)]
			do := fuzzAction(a, b)
			fs := access.Facts{Now: s.now, Actor: access.Actor{Person: who}, Rules: today, Filed: filed}
			before := s.r
			events, err := access.Decide(fs, s.r, do)
			if refusal, ok := access.AsRefusal(err); ok {
				events = access.Note(fs, s.r, do, refusal)
			} else if err != nil {
				t.Fatalf("%T: neither a decision nor a refusal: %v", do, err)
			}
			for _, e := range events {
				s.apply(e)
			}
			invariants(t, before, s, today, filed, do)
		}
		replayed, err := access.Replay(s.log)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.r, replayed, cmpopts.EquateEmpty(), cmp.AllowUnexported(access.Request{})); diff != "" {
			t.Fatalf("replaying gives another state: %s", diff)
		}
	})
}

func fuzzAction(a, b byte) access.Action {
	d := time.Duration(b) * 3 * time.Minute
	switch a % 18 {
	case 0:
		return access.Approve{Request: id, For: d}
	case 1:
		return access.Deny{Request: id}
	case 2:
		return access.Cancel{Request: id}
	case 3:
		return access.Revoke{Request: id}
	case 4:
		return access.GiveBack{Request: id}
	case 5:
		return access.Extend{Request: id, By: d}
	case 6:
		return access.ApproveExtension{Request: id, Round: int(b % 3)}
	case 7:
		return access.DenyExtension{Request: id, Round: int(b % 3)}
	case 8, 9:
		return access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent}
	case 10, 11:
		return access.Confirm{Request: id}
	case 12:
		return access.Fail{Request: id, Error: "down", Final: b%8 == 0}
	case 13:
		return access.Expire{Request: id}
	case 14:
		return access.Finish{Request: id}
	case 15:
		return access.TimeOut{Request: id}
	case 16:
		return access.Say{Request: id, TS: string(rune('a' + b%5)), Text: "hello"}
	}
	return access.Remind{Request: id}
}

// invariants hold after every step, whatever happened.
func invariants(t *testing.T, before access.Request, s *story, today, filed *access.Rules, do access.Action) {
	t.Helper()
	r := s.r
	if before.Status.Ended() && r.Status != before.Status {
		t.Fatalf("%s became %s by %T", before.Status, r.Status, do)
	}
	if r.Last.Before(before.Last) {
		t.Fatalf("time ran backwards: %s after %s", r.Last, before.Last)
	}
	if before.Decision == nil && r.Status == access.Approved {
		approvedRightly(t, r, today, filed)
	}
	if before.Decision != nil && r.Expires().After(before.Expires()) {
		if limit := min(8*time.Hour, today.Resources[0].MaxDuration); r.Expires().After(s.now.Add(limit)) {
			t.Fatalf("extended to %s, later than now + %s", r.Expires(), limit)
		}
	}
	if (r.Status == access.Approved || r.Status == access.Live) && !s.now.Before(r.Expires()) &&
		access.Due(r, today, s.now) != access.DoRevoke {
		t.Fatalf("%s past its expiry, and no revocation is owed", r.Status)
	}
	if r.Status == access.Live && r.Grant.GrantedAt.IsZero() {
		t.Fatal("live without a grant")
	}
}

func approvedRightly(t *testing.T, r access.Request, today, filed *access.Rules) {
	t.Helper()
	for _, p := range r.Decision.Approvers {
		if !today.Reviewer(p) || !filed.Reviewer(p) {
			t.Fatalf("approved by %s, who is no reviewer of both configurations", p.Email)
		}
		if oneParty := today.Settings.OneParty && filed.Settings.OneParty; !oneParty && r.Involves(today, p) {
			t.Fatalf("approved by %s, who is in it", p.Email)
		}
	}
	limit := min(today.Limit(today.Resources[0]), filed.Limit(filed.Resources[0]))
	if r.Expires().Sub(r.Decision.At) > limit {
		t.Fatalf("approved for %s, limit %s", r.Expires().Sub(r.Decision.At), limit)
	}
}

// FuzzClean: whatever people type becomes valid, printable, idempotent text.
func FuzzClean(f *testing.F) {
	f.Add("plain")
	f.Add("a\x00b\u202e\xff\r\n\tpassword: hunter22222")
	f.Fuzz(func(t *testing.T, in string) {
		once := access.Clean(in, 200)
		if twice := access.Clean(once, 200); twice != once {
			t.Errorf("cleaning twice changes %q to %q", once, twice)
		}
		if n := len([]rune(once)); n > 200 {
			t.Errorf("%d characters", n)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	t := &testing.T{}
	s := begin(t)
	live(s)
	s.must(carol, access.Revoke{Request: id})
	s.must(nobody, access.Finish{Request: id})
	b.ReportMetric(float64(len(s.log)), "events/request")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := access.Replay(s.log); err != nil {
			b.Fatal(err)
		}
	}
}

// TestJustify: what was decided is justified, and what was forged is not.
func TestJustify(t *testing.T) {
	for _, st := range states {
		s := reach(t, st.name)
		var r access.Request
		for _, e := range s.log {
			if err := access.Justify(r, e, s.rules, s.rules, nil); err != nil {
				t.Errorf("%s: %s: %v", st.name, e.Body.Kind(), err)
			}
			for name, forged := range forgeries(r, e) {
				if access.Justify(r, forged, s.rules, s.rules, nil) == nil {
					t.Errorf("%s: %s %s is justified", st.name, e.Body.Kind(), name)
				}
			}
			r, _ = access.Apply(r, e)
		}
	}
}

func forgeries(_ access.Request, e access.Event) map[string]access.Event {
	f := map[string]access.Event{}
	switch b := e.Body.(type) {
	case access.Approval:
		x := e
		x.By, b.Approvers = dan, []access.Person{dan}
		x.Body = b
		f["by somebody without rights"] = x
		y := e
		c := e.Body.(access.Approval)
		c.Expires = e.At.Add(9 * time.Hour)
		y.Body = c
		f["for longer than the limit"] = y
	case access.Denial:
		x := e
		x.By = erin
		f["by the principal"] = x
	case access.Requested:
		x := e
		b.Target = access.Target{Provider: "gitops", With: map[string]any{"key": "root"}}
		x.Body = b
		f["for another target"] = x
	case access.Timeout:
		x := e
		x.At = e.At.Add(-2 * 24 * time.Hour)
		f["before its time"] = x
	case access.RevokeIntent:
		if b.Cause == access.CauseExpired {
			x := e
			x.At = e.At.Add(-time.Second)
			f["before the expiry"] = x
		}
	case access.GrantIntent:
		x := e
		b.Subject = "mallory@example.com"
		x.Body = b
		f["to somebody else"] = x
	case access.Granted:
		x := e
		x.By = bob
		f["by a person"] = x
	}
	return f
}
