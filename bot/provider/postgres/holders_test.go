package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/provider/postgres"
)

var _ bot.Lister = (*postgres.Provider)(nil)

// holders: who is in the role, by whosever grant and with whatever name, is listed
// once; who only administers it is not, from PostgreSQL 16 on, and the bot never.
func holders(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	must(t, p.Grant(within(t), o))
	_, bob := s.names(t)
	hostile := bob + `#1.x"; DROP ROLE bot; --`
	s.exec(t, "ALTER ROLE "+bob+" RENAME TO "+quote(hostile), "GRANT "+role+" TO "+quote(hostile))
	group := role + "_group"
	s.exec(t, "CREATE ROLE "+group, "GRANT "+role+" TO "+group)
	if s.version >= 16 {
		s.exec(t, "CREATE ROLE "+role+"_admin LOGIN", "GRANT "+role+" TO "+role+"_admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
	}
	got, err := p.Holders(within(t), o.Target)
	must(t, err)
	slices.Sort(got)
	want := s.holders(t, role)
	want = slices.DeleteFunc(want, func(m string) bool { return strings.HasPrefix(m, role+"_admin#") })
	if d := cmp.Diff(want, got); d != "" || len(got) != 3 || !slices.Contains(got, o.Subject) {
		t.Errorf("members, with %s for %s (-want +got)\n%s", o.Subject, alice, d)
	}
	for i, at := range []access.Target{target("no_such_role", false), {Provider: "postgres", With: map[string]any{"dsn_env": "GITHUB_TOKEN", "role": role}}} {
		if got, err := p.Holders(within(t), at); len(got) > 0 || (err == nil) != (i == 0) {
			t.Errorf("%v: %q, %v", at.With, got, err)
		}
	}
}

// tooMany: all of them, or an error.
func tooMany(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, _ := s.order(t, p, false)
	s.exec(t, fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..10001 LOOP EXECUTE format('CREATE ROLE %%I IN ROLE %%I', '%s_m' || i, '%s'); END LOOP; END $$`, role, role))
	got, err := p.Holders(within(t), o.Target)
	fails(t, err, "more than 10000 members")
	if got != nil {
		t.Errorf("and %d of them", len(got))
	}
}

// TestCovers: the same role is one place, however its end is to be.
func TestCovers(t *testing.T) {
	p, err := postgres.New(postgres.Config{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := target("a", false)
	elsewhere.With["dsn_env"] = "OTHER_DSN"
	for i, other := range []access.Target{target("a", true), target("b", false), elsewhere, {}} {
		if got, want := p.Covers(target("a", false), other), i == 0; got != want {
			t.Errorf("%v: %t", other.With, got)
		}
	}
}
