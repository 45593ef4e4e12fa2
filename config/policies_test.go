package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/config"
)

// TestTruthTable plays the truth table of access policies: every file in
// testdata/policies is one theme, written to be read by people who do not read
// programs, as README says there.
func TestTruthTable(t *testing.T) {
	files, err := filepath.Glob("testdata/policies/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no themes: %v", err)
	}
	cast := sections(t, "testdata/policies/cast.yaml")[0].lines
	total := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			b := &bench{file: file, cast: blocks(cast)}
			for _, s := range sections(t, file)[1:] {
				total += b.section(t, s)
			}
		})
	}
	if total < 330 {
		t.Errorf("the table has %d cases; cases were lost", total)
	}
}

// A section is one file of an archive, with its place for messages.
type section struct {
	name  string
	line  int // of its first line
	lines []string
}

// sections reads an archive; what stands before the first file comes first.
func sections(t testing.TB, file string) []section {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := []section{{line: 1}}
	marker := regexp.MustCompile(`^-- (\S+) --$`)
	for i, line := range strings.Split(string(data), "\n") {
		if m := marker.FindStringSubmatch(line); m != nil {
			out = append(out, section{name: m[1], line: i + 2})
			continue
		}
		last := &out[len(out)-1]
		last.lines = append(last.lines, line)
	}
	return out
}

// A block is one top-level key of a configuration with all that belongs to it.
type block struct {
	key   string
	lines []string
}

func blocks(lines []string) []block {
	var out []block
	for _, l := range lines {
		key, _, isKey := strings.Cut(l, ":")
		if isKey && key == strings.TrimSpace(key) && !strings.HasPrefix(key, "#") && !strings.HasPrefix(key, "-") {
			out = append(out, block{key: key})
		}
		if len(out) > 0 {
			out[len(out)-1].lines = append(out[len(out)-1].lines, l)
		}
	}
	return out
}

// A bench is where the cases of one file are tried.
type bench struct {
	file    string
	cast    []block
	configs map[string]string // by name, the cast and what the file says instead
}

// section takes a configuration in, or plays cases and says how many.
func (b *bench) section(t *testing.T, s section) int {
	switch {
	case s.name == "cases":
		return b.cases(t, s)
	case s.name == "today.yaml":
		b.configs = map[string]string{}
	}
	b.configs[s.name] = b.dressed(s.lines)
	return 0
}

// dressed is the cast, in which each key of the file replaces the cast's.
func (b *bench) dressed(lines []string) string {
	own := blocks(lines)
	var out []string
	for _, c := range b.cast {
		if !slices.ContainsFunc(own, func(o block) bool { return o.key == c.key }) {
			out = append(out, c.lines...)
		}
	}
	for _, o := range own {
		out = append(out, o.lines...)
	}
	return strings.Join(out, "\n") + "\n"
}

// A line is one line of the cases.
type line struct {
	at   string // file:line
	text string
}

func (b *bench) cases(t *testing.T, s section) int {
	now, count := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), 0
	var facts, story []line
	play := func() {
		if len(story) > 0 {
			c := &trial{bench: b, now: now}
			c.play(t, facts, story)
			count++
		}
		story = nil
	}
	for i, text := range s.lines {
		l := line{fmt.Sprintf("%s:%d", b.file, s.line+i), text}
		switch {
		case strings.TrimSpace(text) == "" || strings.HasPrefix(strings.TrimSpace(text), "#"):
		case strings.HasPrefix(text, "\t"):
			story = append(story, l)
		case isFact(text):
			play()
			facts = append(facts, l)
		default:
			play()
			story = append(story, l)
		}
	}
	play()
	return count
}

func isFact(text string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return slices.Contains([]string{"at", "members", "unreachable", "on-call", "rules"}, word)
}

const requestID = "01KAQ00000000000000000000A"

// A trial is one case: a question, and what became of it step by step.
type trial struct {
	*bench
	now          time.Time
	members      map[string][]access.Person
	duties       map[string][]access.Duty
	today, filed *access.Rules
	request      access.Request
	unjustified  error // why what was decided would not be decided again
}

// play tries a case and stops at its first difference.
func (c *trial) play(t *testing.T, facts, story []line) {
	t.Helper()
	c.members, c.duties = map[string][]access.Person{}, map[string][]access.Duty{}
	for _, l := range facts {
		if err := c.fact(l.text); err != nil {
			t.Errorf("%s: %v", l.at, err)
			return
		}
	}
	for i, l := range story {
		if i > 0 && isFact(l.text) {
			if err := c.fact(l.text); err != nil {
				t.Errorf("%s: %v", l.at, err)
				return
			}
			continue
		}
		question, want, ok := cutAnswer(l.text)
		if !ok {
			t.Errorf("%s: there is no answer in %q", l.at, strings.TrimSpace(l.text))
			return
		}
		got := c.answer(words(question), i == 0)
		if !agrees(got, want) {
			t.Errorf("%s: %s\n\twant %s\n\tgot  %s", l.at, strings.TrimSpace(question), want, got)
			return
		}
		if c.unjustified != nil {
			t.Errorf("%s: %s\n\twas decided so, and decided anew it is not justified: %v", l.at, strings.TrimSpace(question), c.unjustified)
			return
		}
	}
}

// cutAnswer parts a line at its last colon that stands by itself.
func cutAnswer(text string) (question, want string, ok bool) {
	i := strings.LastIndex(text, " : ")
	if i < 0 {
		return text, "", false
	}
	return text[:i], strings.TrimSpace(text[i+3:]), true
}

// words parts a text at blanks that are not within quotes.
func words(s string) []string {
	return regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(s, -1)
}

// agrees compares answers; of a refusal's sentence a part is enough.
func agrees(got, want string) bool {
	head, part, quoted := strings.Cut(want, ` "`)
	if !quoted {
		return got == want
	}
	rest, sentence := strings.CutPrefix(got, head+` "`)
	return sentence && strings.Contains(rest, strings.TrimSuffix(part, `"`))
}

// fact takes in what is so from now on.
func (c *trial) fact(text string) error {
	key, value, _ := strings.Cut(strings.TrimSpace(text), " = ")
	w := strings.Fields(key)
	switch {
	case w[0] == "at" && len(w) == 2:
		at, err := time.Parse("2006-01-02T15:04:05Z07:00", w[1])
		if err != nil {
			return fmt.Errorf("write it as 2026-11-23T09:00:00Z: %w", err)
		}
		c.now = at
	case w[0] == "rules" && len(w) == 2:
		rules, err := c.rules(w[1])
		if err != nil {
			return err
		}
		c.today = rules
	case w[0] == "members" && len(w) == 2:
		c.members[w[1]] = people(value)
	case w[0] == "unreachable" && len(w) == 2:
		delete(c.members, w[1])
		delete(c.duties, w[1])
	case w[0] == "on-call" && len(w) >= 2:
		return c.duty(w[1:], value)
	default:
		return fmt.Errorf("%q is no fact", text)
	}
	return nil
}

// duty takes in who is on call: on-call VENDOR [POLICY level N] [in SCHEDULE] = people.
func (c *trial) duty(w []string, who string) error {
	d, vendor := access.Duty{Level: 1}, w[0]
	for w = w[1:]; len(w) > 0; w = w[1:] {
		switch {
		case w[0] == "level" && len(w) > 1:
			fmt.Sscan(w[1], &d.Level)
			w = w[1:]
		case w[0] == "in" && len(w) > 1:
			d.Schedule, w = w[1], w[1:]
		default:
			d.Policy = w[0]
		}
	}
	list := c.duties[vendor][:0:0]
	for _, p := range people(who) {
		d.Person = p
		list = append(list, d)
	}
	c.duties[vendor] = append(slices.Clone(c.duties[vendor]), list...)
	return nil
}

// people reads names: bob, or an address, either with /SLACKID behind it.
func people(list string) []access.Person {
	out := []access.Person{}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && name != "nobody" {
			out = append(out, person(name))
		}
	}
	return out
}

func person(name string) access.Person {
	email, id, ok := strings.Cut(name, "/")
	if !ok {
		local, _, _ := strings.Cut(email, "@")
		id = "U" + strings.ToUpper(regexp.MustCompile(`\W`).ReplaceAllString(local, ""))
	}
	if !strings.Contains(email, "@") {
		email += "@example.com"
	}
	return access.Person{Email: email, Slack: id}
}

func called(ps []access.Person) string {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = strings.TrimSuffix(p.Email, "@example.com")
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

func (c *trial) rules(name string) (*access.Rules, error) {
	text, ok := c.configs[name]
	if !ok {
		return nil, fmt.Errorf("there is no %s", name)
	}
	rules, _, err := config.Parse(name, []byte(text), strings.TrimSuffix(name, ".yaml"))
	return rules, err
}

// governed loads the configurations that govern the case: filed.yaml, if there
// is one, at the filing, and today.yaml afterwards.
func (c *trial) governed() error {
	today, err := c.rules("today.yaml")
	if err != nil {
		return err
	}
	c.filed = today
	if _, ok := c.configs["filed.yaml"]; ok {
		if c.filed, err = c.rules("filed.yaml"); err != nil {
			return err
		}
	}
	if c.today == nil {
		c.today = today
	}
	return nil
}

// answer plays one line: the question of a case, or a step of its story.
func (c *trial) answer(w []string, first bool) string {
	if first && len(w) == 2 && w[1] == "loads" {
		if _, err := c.rules(w[0]); err != nil {
			return fmt.Sprintf("no %q", err.Error())
		}
		return "yes"
	}
	if !first {
		return c.step(w)
	}
	if err := c.governed(); err != nil {
		return fmt.Sprintf("the configuration is refused: %v", err)
	}
	switch {
	case w[0] == "offered" && len(w) == 3 && w[1] == "to":
		return c.offered(person(w[2]))
	case w[0] == "who" && len(w) > 3:
		return c.who(w[3:])
	}
	return c.ask(w)
}

func (c *trial) facts(by access.Person, today *access.Rules) access.Facts {
	return access.Facts{Now: c.now, New: requestID, Actor: access.Actor{Person: by}, Rules: today, Filed: c.filed,
		Members: c.members, Duties: c.duties}
}

func (c *trial) offered(to access.Person) string {
	var ids []string
	for _, res := range c.facts(to, c.today).Requestable(c.today, to) {
		ids = append(ids, res.ID)
	}
	if len(ids) == 0 {
		return "nothing"
	}
	return strings.Join(ids, ", ")
}

// who foretells who may approve: who may approve ALICE [for ERIN] RESOURCE.
func (c *trial) who(w []string) string {
	requestor, principal, w := parties(w)
	res, ok := c.today.Resource(w[0])
	if !ok {
		return "no such resource"
	}
	var out []access.Person
	for _, email := range c.facts(requestor, c.today).Approvers(c.today, requestor, principal, res) {
		out = append(out, access.Person{Email: email})
	}
	return called(out)
}

// parties reads who asks and for whom, and answers the rest.
func parties(w []string) (requestor, principal access.Person, rest []string) {
	requestor = person(w[0])
	if len(w) > 2 && w[1] == "for" {
		return requestor, person(w[2]), w[3:]
	}
	return requestor, requestor, w[1:]
}

// ask files: ALICE [for ERIN] RESOURCE [2h] ["reason"] [TICKET].
func (c *trial) ask(w []string) string {
	requestor, principal, w := parties(w)
	do := access.File{Resource: w[0], Principal: access.Actor{Person: principal}}
	for _, x := range w[1:] {
		d, err := access.ParseDuration(x)
		switch {
		case strings.HasPrefix(x, `"`):
			do.Reason = strings.Trim(x, `"`)
		case err == nil:
			do.Duration = d
		default:
			do.Ticket = x
		}
	}
	return c.decide(requestor, c.filed, do)
}

// step is what somebody does about the request: BOB approves [2h], denies,
// cancels, revokes, escalates, extends 1h, approves extension, …
func (c *trial) step(w []string) string {
	if w[0] == "granted" {
		var bot access.Person
		c.decide(bot, c.today, access.Intend{Request: requestID, Subject: c.request.Principal.Email, Before: access.Absent})
		c.decide(bot, c.today, access.Confirm{Request: requestID})
		return string(c.request.Status)
	}
	by, verb := person(w[0]), strings.Join(w[1:], " ")
	lasts := time.Hour
	if d, err := access.ParseDuration(w[len(w)-1]); err == nil {
		lasts, verb = d, strings.Join(w[1:len(w)-1], " ")
	}
	round := c.request.Rounds
	do, ok := map[string]access.Action{
		"approves":           access.Approve{Request: requestID, For: lasts},
		"denies":             access.Deny{Request: requestID},
		"cancels":            access.Cancel{Request: requestID},
		"revokes":            access.Revoke{Request: requestID},
		"escalates":          access.Escalate{Request: requestID},
		"extends":            access.Extend{Request: requestID, By: lasts},
		"approves extension": access.ApproveExtension{Request: requestID, Round: round},
		"denies extension":   access.DenyExtension{Request: requestID, Round: round},
	}[verb]
	if !ok {
		return "nobody knows how to " + verb
	}
	return c.decide(by, c.today, do)
}

// decide lets the core decide, applies what it decided, and has it justified.
func (c *trial) decide(by access.Person, rules *access.Rules, do access.Action) string {
	defer func() { c.now = c.now.Add(time.Minute) }()
	events, err := access.Decide(c.facts(by, rules), c.request, do)
	if r, ok := access.AsRefusal(err); ok {
		return fmt.Sprintf("refused %s %q", r.Code, r.Text)
	}
	if err != nil {
		return "fault: " + err.Error()
	}
	var said []string
	for _, e := range events {
		said = append(said, c.say(e))
		if err := access.Justify(c.request, e, rules, c.filed, nil); err != nil && c.unjustified == nil {
			c.unjustified = err
		}
		if c.request, err = access.Apply(c.request, e); err != nil {
			return "fault: " + err.Error()
		}
	}
	if len(said) > 1 && said[0] == "pending" {
		said = said[1:]
	}
	return strings.Join(said, ", then ")
}

// say is an event in the words of the table.
func (c *trial) say(e access.Event) string {
	switch b := e.Body.(type) {
	case access.Requested:
		return "pending"
	case access.Approval:
		return fmt.Sprintf("approved by %s as %s for %s", called(b.Approvers), b.Source, access.FormatDuration(b.Expires.Sub(e.At)))
	case access.ExtensionRequested:
		return "waits"
	case access.Extended:
		return fmt.Sprintf("extended by %s as %s until %s", called(b.Approvers), b.Source, b.Expires.Format("15:04"))
	case access.RevokeIntent:
		return string(b.Cause)
	}
	return e.Body.Kind()
}
