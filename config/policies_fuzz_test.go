package config_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/config"
)

// dice makes choices from the fuzzer's bytes; when they are used up, the first.
type dice struct{ bytes []byte }

func (d *dice) of(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

func (d *dice) yes() bool { return d.of(2) == 1 }

func pick[T any](d *dice, from ...T) T { return from[d.of(len(from))] }

// world is what a metamorphic trial starts from: two configurations, and people
// who click once each, in some order, each with an expiry of their choice.
type world struct {
	today, filed *access.Rules
	principal    access.Person
	voters       []access.Person
	choices      []time.Duration
	members      map[string][]access.Person
	reason       string
}

func (d *dice) world(base access.Rules) world {
	groups := func() []access.Group {
		g := []access.Group{{Name: "asks", Members: d.crowd()}, {Name: "dba", GitHubTeam: "acme/dba"}, {Name: "nobody"}}
		for _, name := range []string{"sre", "sec"} {
			g = append(g, access.Group{Name: name, Members: d.crowd()})
		}
		return g
	}
	rules := func() *access.Rules {
		r := base
		r.Reviewers, r.Groups, r.Policies = d.crowd(), groups(), nil
		for i := range d.of(4) {
			p := d.policy(d.ways())
			p.Name = fmt.Sprint("p", i)
			r.Policies = append(r.Policies, p)
		}
		return &r
	}
	w := world{principal: pick(d, person("erin"), person("alice")), members: map[string][]access.Person{}}
	w.reason = pick(d, "why", "why", "why", "")
	w.filed = rules()
	if w.today = w.filed; d.yes() {
		w.today = rules()
	}
	if d.yes() {
		w.members["github:acme/dba"] = []access.Person{person("frank"), person("erin")}
	}
	w.voters = people("bob, dan, carol, alice, erin, frank")
	for i := range w.voters {
		j := i + d.of(len(w.voters)-i)
		w.voters[i], w.voters[j] = w.voters[j], w.voters[i]
		w.choices = append(w.choices, pick(d, time.Hour, 30*time.Minute, 4*time.Hour, 8*time.Hour))
	}
	return w
}

// crowd is a list of addresses, each of another person.
func (d *dice) crowd() []string {
	var out []string
	for _, name := range []string{"bob", "dan", "carol", "alice", "erin", "frank"} {
		if d.of(3) == 1 {
			out = append(out, name+"@example.com")
		}
	}
	return out
}

func (d *dice) policy(ways []access.Way) access.Policy {
	p := access.Policy{Approval: ways, Disabled: d.of(8) == 1}
	p.Requestor = pick(d, access.Whom{Type: "any"}, access.Whom{Type: "any"},
		access.Whom{Type: "user", Users: []string{"erin@example.com"}},
		access.Whom{Type: "group", Groups: []string{"asks"}}, access.Whom{Type: "group", Groups: []string{"asks"}, Remove: true},
		access.Whom{Type: "group", Groups: []string{"dba"}}, access.Whom{Type: "group", Groups: []string{"asks", "dba"}, Remove: true})
	p.Resource = pick(d, access.Which{Type: "any"}, access.Which{Type: "any"},
		access.Which{Type: "match", ID: regexp.MustCompile("^(?:admins)$")},
		access.Which{Type: "match", Tags: map[string]*regexp.Regexp{"env": regexp.MustCompile("^(?:staging)$")}})
	p.Terms = access.Terms{OneParty: d.of(4) == 1, RequireReason: d.of(4) == 1, MaxDuration: pick(d, 0, 0, 0, time.Hour, 30*time.Minute)}
	if d.of(6) == 1 {
		p.Terms.Hours = &access.Hours{Days: []time.Weekday{time.Monday}, From: pick(d, 0, 9*time.Hour), To: pick(d, 24*time.Hour, 9*time.Hour+3*time.Minute), Zone: time.UTC}
	}
	return p
}

func (d *dice) ways() []access.Way {
	var out []access.Way
	for range 1 + d.of(2) {
		switch d.of(6) {
		case 5:
			out = append(out, access.Way{Type: "steps", Steps: [][]access.Way{{d.way()}, {d.way(), d.way()}}})
		case 4:
			out = append(out, access.Way{Type: pick(d, "deny", "persistent", "reviewers")})
		default:
			out = append(out, d.way())
		}
	}
	return out
}

func (d *dice) way() access.Way {
	return pick(d, access.Way{Type: "group", Groups: []string{"sre"}, Count: 1 + d.of(3)},
		access.Way{Type: "group", Groups: []string{"sec", "dba"}, Count: 1 + d.of(2)},
		access.Way{Type: "reviewers"}, access.Way{Type: "manager"})
}

// restriction is a policy that nobody can satisfy, whatever else it says.
func (d *dice) restriction() access.Policy {
	never := access.Way{Type: "group", Groups: []string{"nobody"}, Count: 1}
	p := d.policy([]access.Way{pick(d, never, access.Way{Type: "deny"},
		access.Way{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"P1"}},
		access.Way{Type: "escalation", Integration: "pagerduty", EscalationPolicies: []string{"P1"}},
		access.Way{Type: "steps", Steps: [][]access.Way{{never}, {{Type: "reviewers"}, {Type: "group", Groups: []string{"sre"}, Count: 1}}}})})
	p.Name = "restriction"
	return p
}

// An outcome is what became of a request after all have clicked.
type outcome struct {
	given bool
	until time.Time
	told  string // what each was told, who is on record, until when
}

func (w world) trial() *trial {
	return &trial{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), today: w.today, filed: w.filed, members: w.members}
}

func (w world) asks() access.File {
	return access.File{Resource: "admins", Principal: access.Actor{Person: w.principal}, Reason: w.reason}
}

// play lets everybody click once, and has every decision justified.
func (w world) play(t *testing.T) outcome {
	t.Helper()
	c := w.trial()
	told := []string{c.decide(person("alice"), w.filed, w.asks())}
	for i := 0; i < len(w.voters) && c.request.Status == access.Pending; i++ {
		told = append(told, c.decide(w.voters[i], w.today, access.Approve{Request: requestID, For: w.choices[i]}))
	}
	for i := range told {
		told[i], _, _ = strings.Cut(told[i], ` "`) // sentences name things in their order
	}
	if c.unjustified != nil {
		t.Fatalf("%v: not justified: %v", told, c.unjustified)
	}
	o := outcome{given: c.request.Status == access.Approved, until: c.request.Expires(), told: strings.Join(told, "\n")}
	if limit := c.latest(); o.given && o.until.After(limit) {
		t.Fatalf("%v: until %s, later than %s", told, o.until, limit)
	}
	return o
}

// latest is the latest end that the resource's limit allows a decision just made.
func (c *trial) latest() time.Time { return c.now.Add(8*time.Hour - time.Minute) }

// with is the world with other rules for today.
func (w world) with(change func(*access.Rules)) world {
	r := *w.today
	r.Groups, r.Policies, r.Reviewers = slices.Clone(r.Groups), slices.Clone(r.Policies), slices.Clone(r.Reviewers)
	change(&r)
	w.today = &r
	return w
}

// FuzzPoliciesMetamorphic states how outcomes must move when a configuration
// does, without saying what they are.
func FuzzPoliciesMetamorphic(f *testing.F) {
	cast := sections(f, "testdata/policies/cast.yaml")[0].lines
	base, _, err := config.Parse("cast.yaml", []byte(strings.Join(cast, "\n")), "base")
	if err != nil {
		f.Fatal(err)
	}
	for seed := range 64 {
		f.Add(dealt(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &dice{data}
		w := d.world(*base)
		was := w.play(t)
		w.permuted(t, d, was)
		w.restricted(t, d, was)
		w.reviewed(t, d)
	})
}

// dealt are bytes for a seed, from which the fuzzer goes on.
func dealt(seed int) []byte {
	out, x := make([]byte, 120), uint32(seed*2654435761+1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = byte(x >> 24)
	}
	return out
}

// permuted: the order of policies, and of the ways in them, means nothing.
func (w world) permuted(t *testing.T, d *dice, was outcome) {
	turned := w
	for _, r := range []**access.Rules{&turned.today, &turned.filed} {
		x := *(*r)
		x.Policies = slices.Clone(x.Policies)
		slices.Reverse(x.Policies)
		if n := len(x.Policies); n > 1 {
			i := d.of(n)
			x.Policies[0], x.Policies[i] = x.Policies[i], x.Policies[0]
		}
		for i := range x.Policies {
			ways := slices.Clone(x.Policies[i].Approval)
			slices.Reverse(ways)
			x.Policies[i].Approval = ways
		}
		*r = &x
	}
	if got := turned.play(t); got.told != was.told || !got.until.Equal(was.until) {
		t.Fatalf("another order, another outcome:\n%s\nuntil %s\n-- was --\n%s\nuntil %s", got.told, got.until, was.told, was.until)
	}
}

// restricted: a policy that nobody satisfies, added today or at the filing,
// gives nothing; at no click is more given than without it.
func (w world) restricted(t *testing.T, d *dice, was outcome) {
	more := d.restriction()
	add := func(r *access.Rules) { r.Policies = append(r.Policies, more) }
	if len(w.today.Policies) == 0 || len(w.filed.Policies) == 0 {
		return // the first policy replaces the default approvals
	}
	today := w.with(add)
	both := today
	then := *w.filed
	then.Policies = append(slices.Clone(then.Policies), more)
	both.filed = &then
	for name, now := range map[string]world{"today": today, "both": both} {
		if got := now.play(t); got.given && !was.given {
			t.Fatalf("a restriction (%+v) in %s gives:\n%s\n-- was --\n%s", more, name, got.told, was.told)
		}
		now.clicked(t, w)
	}
}

// clicked compares click by click, on the same request: what is given under the
// rules of w is given under those of the wider world, and for no shorter time.
func (w world) clicked(t *testing.T, wider world) {
	c := w.trial()
	c.decide(person("alice"), w.filed, w.asks())
	for i := 0; i < len(w.voters) && c.request.Status == access.Pending; i++ {
		other := wider.trial()
		other.request, other.now = c.request, c.now
		click := access.Approve{Request: requestID, For: w.choices[i]}
		c.decide(w.voters[i], w.today, click)
		other.decide(w.voters[i], wider.today, click)
		if c.request.Status == access.Approved && c.request.Expires().After(other.request.Expires()) {
			t.Fatalf("click %d by %s gives until %s; without the restriction it was %s until %s",
				i, w.voters[i].Email, c.request.Expires(), other.request.Status, other.request.Expires())
		}
	}
}

// reviewed: whoever is added to today's reviewers or approving groups, or taken
// out of them, enables nothing that the configuration of the filing did not.
func (w world) reviewed(t *testing.T, d *dice) {
	w.today = w.filed
	was := w.play(t)
	who := pick(d, "bob", "dan", "carol", "alice", "erin", "frank") + "@example.com"
	change := pick(d, func(list []string) []string { return append(slices.Clone(list), who) },
		func(list []string) []string {
			return slices.DeleteFunc(slices.Clone(list), func(e string) bool { return e == who })
		})
	got := w.with(func(r *access.Rules) {
		r.Reviewers = change(r.Reviewers)
		for i, g := range r.Groups {
			if g.Name == "sre" || g.Name == "sec" {
				r.Groups[i].Members = change(g.Members)
			}
		}
	}).play(t)
	if got.given && !was.given {
		t.Fatalf("a change about %s enables:\n%s\n-- was --\n%s", who, got.told, was.told)
	}
}
