package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
	"countersign/gitstore"

	"github.com/google/go-cmp/cmp"
)

// A past is a small log in git: one access, filed at nine, there from a second
// later, extended at ten past, to end at forty past, revoked at half past.
type past struct {
	dir string // a repository with a configuration on main and a log on audit
	id  string
}

func pastTime(min, sec int) time.Time { return time.Date(2026, 2, 3, 9, min, sec, 0, time.UTC) }

func newPast(t *testing.T) past {
	t.Helper()
	p := past{dir: filepath.Join(t.TempDir(), "past.git"), id: "01KGH000000000000000000001"}
	repo, err := gitstore.Init(t.Context(), p.dir)
	if err != nil {
		t.Fatal(err)
	}
	people := gitstore.Identity{Name: "Pat", Email: "pat@example.com"}
	if _, err := repo.Create(t.Context(), gitstore.Creation{
		Branch: "main", Files: map[string][]byte{"countersign.yaml": []byte(defaultConfig)}, Message: "rules", Author: people, Time: pastTime(0, 0),
	}); err != nil {
		t.Fatal(err)
	}
	log, err := gitstore.OpenLog(t.Context(), gitstore.LogConfig{
		Repo: repo, Branch: "audit", Identity: gitstore.Identity{Name: "countersign", Email: "countersign@localhost"},
		Now: func() time.Time { return pastTime(0, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, log)
	return p
}

func (p past) write(t *testing.T, log *gitstore.Log) {
	t.Helper()
	alice, bob := access.Person{Email: "alice@example.com", Slack: "U1"}, access.Person{Email: "bob@example.com", Slack: "U2"}
	target := access.Target{Provider: "gitops", With: map[string]any{"key": "a"}}
	story := []struct {
		at   time.Time
		by   access.Person
		body access.Body
	}{
		{pastTime(0, 0), alice, access.Requested{Requestor: alice, Principal: alice, Resource: "payments-admins", Target: target, Duration: 20 * time.Minute}},
		{pastTime(0, 0), bob, access.Approval{Source: access.ByReviewer, Approvers: []access.Person{bob}, Expires: pastTime(20, 0), Target: target}},
		{pastTime(0, 0), access.Person{}, access.GrantIntent{Subject: alice.Email, Before: access.Absent}},
		{pastTime(0, 1), access.Person{}, access.Granted{}},
		{pastTime(10, 0), alice, access.ExtensionRequested{Duration: 20 * time.Minute}},
		{pastTime(10, 0), bob, access.Extended{Source: access.ByReviewer, Approvers: []access.Person{bob}, Expires: pastTime(40, 0)}},
		{pastTime(29, 0), bob, access.RevokeIntent{Cause: access.CauseRevoked}},
		{pastTime(30, 0), access.Person{}, access.Ended{Cause: access.CauseRevoked}},
	}
	var r access.Request
	b := gitstore.Batch{Dir: ledger.Dir(p.id, pastTime(0, 0))}
	for i, x := range story {
		e := access.Event{ID: fmt.Sprint("e", i), Request: p.id, At: x.at, By: x.by, Config: strings.Repeat("c", 40), Rules: 1, Body: x.body}
		var err error
		if r, err = access.Apply(r, e); err != nil {
			t.Fatal(err)
		}
		data, err := ledger.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Entries = append(b.Entries, gitstore.Entry{
			Path: fmt.Sprintf("%s/%04d-%s.yaml", b.Dir, i+1, x.body.Kind()), Data: data, Message: ledger.Message(r, e), Time: x.at,
		})
	}
	if _, err := log.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// tried runs the program in this process.
func tried(ctx context.Context, args ...string) (code int, out, said string) {
	var o, e bytes.Buffer
	code = run(ctx, args, console{env: os.Getenv, out: &o, err: &e})
	return code, o.String(), e.String()
}

// TestAsof: an access is there from the very second in which the provider
// confirmed it, to the end that was known then, up to the second of its end.
func TestAsof(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	const header = "principal\tresource\tprovider\tsubject\tsince\tuntil\tid\tapproval_source\tapproved_by\tconfig_commit\n"
	row := func(until string) string {
		return header + "alice@example.com\tpayments-admins\tgitops\talice@example.com\t2026-02-03T09:00:01Z\t2026-02-03T" + until + "Z\t" +
			p.id + "\treviewer\tbob@example.com\t" + strings.Repeat("c", 40) + "\n"
	}
	for _, c := range []struct{ at, out, said string }{
		{"2026-02-03", header, "the log begins after 2026-02-03T00:00:00Z\n"},
		{"2026-02-03T08:59:59Z", header, "the log begins after 2026-02-03T08:59:59Z\n"},
		{"2026-02-03T09:00:00Z", header, ""},
		{"2026-02-03T09:00:00.999Z", header, ""},
		{"2026-02-03T09:00:01Z", row("09:20:00"), ""},
		{"2026-02-03T11:00:01+02:00", row("09:20:00"), ""},
		{"2026-02-03T09:09:59Z", row("09:20:00"), ""},
		{"2026-02-03T09:10:00Z", row("09:40:00"), ""},
		{"2026-02-03T09:29:59Z", row("09:40:00"), ""},
		{"2026-02-03T09:30:00Z", header, ""},
		{"2026-02-04", header, ""},
	} {
		code, out, said := tried(t.Context(), "asof", "--repo", p.dir, c.at)
		if code != exitOK || said != c.said {
			t.Errorf("%s: code %d, %q, want %q", c.at, code, said, c.said)
		}
		if diff := cmp.Diff(c.out, out); diff != "" {
			t.Errorf("%s: %s", c.at, diff)
		}
	}
}

// TestAsofUsage: what is no past time is refused with an example of one.
func TestAsofUsage(t *testing.T) {
	t.Parallel()
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.RFC3339)
	for _, args := range [][]string{
		{"--repo", ".", "yesterday"}, {"--repo", ".", "2026-02-30"}, {"--repo", ".", "2026-02-03 09:00"}, {"--repo", ".", ""}, {"--repo", ".", tomorrow},
		{"--repo", "."}, {"2026-02-03"}, {"--repo", ".", "2026-02-03", "2026-02-04"},
	} {
		if code, out, said := tried(t.Context(), append([]string{"asof"}, args...)...); code != exitUsage || out != "" || said == "" {
			t.Errorf("%q: code %d, %q, %q", args, code, out, said)
		}
	}
	now := time.Date(2026, 2, 3, 9, 0, 0, 0, time.UTC)
	if got, err := moment("2026-02-03T09:00:00Z", now); err != nil || !got.Equal(now) {
		t.Errorf("now: %v, %v", got, err)
	}
	if got, err := moment("2026-02-03T09:00:01Z", now); err == nil || !strings.Contains(err.Error(), "2026-02-03T09:00:00Z") {
		t.Errorf("the next second: %v, %v", got, err)
	}
}
