package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"countersign/bot/access"
	"countersign/bot/slacksim"
)

var errUsage = errors.New("the words of this line make no sense; see TestScript")

func startbot(s *story, args []string) error {
	s.at = s.ts.Getenv("REPO")
	err := s.start(s.environment(), args...)
	if s.neg {
		if err == nil {
			return errors.New("it serves")
		}
		fmt.Fprintln(s.ts.Stdout(), err)
		return nil
	}
	if err != nil {
		return err
	}
	if slices.Contains(args, "--listen") || wait(s.isReady) {
		return nil
	}
	_, body, err := s.get("/readyz")
	return fmt.Errorf("it does not become ready: %s %v", body, err)
}

func stopbot(s *story, _ []string) error { return s.end(os.Interrupt) }

func kill9(s *story, _ []string) error { return s.kill() }

func freeze(s *story, _ []string) error { return s.bot.Process.Signal(syscall.SIGSTOP) }

func thaw(s *story, _ []string) error { return s.bot.Process.Signal(syscall.SIGCONT) }

func slack(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	return s.slackDown(args[0] == "down")
}

func fault(s *story, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	f := slacksim.FailCalls{Method: args[0], Error: args[1], Times: 1}
	if len(args) == 3 {
		var err error
		if f.Times, err = strconv.Atoi(args[2]); err != nil {
			return err
		}
	}
	return s.sim.Fault(slacksim.Fault{Fail: &f})
}

func groups(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	s.sim.SetGroupRule(slacksim.GroupRule(args[0]))
	return nil
}

// scopes installs the app anew with other scopes.
func scopes(s *story, args []string) error {
	have := slacksim.DefaultWorld().App.Scopes
	for _, a := range args {
		if less, ok := strings.CutPrefix(a, "-"); ok {
			have = slices.DeleteFunc(have, func(x string) bool { return x == less })
		} else {
			have = append(have, strings.TrimPrefix(a, "+"))
		}
	}
	s.sim.SetScopes(have...)
	return nil
}

// channel changes the approval channel.
func channel(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	bot := slacksim.DefaultWorld().App.BotUser
	switch args[0] {
	case "shared":
		return s.sim.ShareChannel("C0ACCESS", true)
	case "unshared":
		return s.sim.ShareChannel("C0ACCESS", false)
	case "without":
		return s.sim.RemoveMember("C0ACCESS", bot)
	case "with":
		return s.sim.AddMember("C0ACCESS", bot)
	case "archived":
		return s.sim.ArchiveChannel("C0ACCESS", true)
	case "unarchived":
		return s.sim.ArchiveChannel("C0ACCESS", false)
	}
	return errUsage
}

// skew lets Slack tell another time.
func skew(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	ms := int(d.Milliseconds())
	return s.sim.Fault(slacksim.Fault{SkewMS: &ms})
}

func group(s *story, names []string) error {
	var g slacksim.Group
	slices.Sort(names)
	same := func() bool {
		var there bool
		g, there = s.sim.Group("access-approvers")
		var have []string
		for _, u := range slacksim.DefaultWorld().Users {
			if slices.Contains(g.Users, u.ID) && !g.Disabled {
				have = append(have, u.Name)
			}
		}
		slices.Sort(have)
		return (there || len(names) == 0) && slices.Equal(have, names)
	}
	if !wait(same) {
		return fmt.Errorf("in the group are %v (disabled: %v), want %v", g.Users, g.Disabled, names)
	}
	return nil
}

// setgroup changes the group of the approvers by somebody else's hand.
func setgroup(s *story, names []string) error {
	var ids []string
	for _, name := range names {
		ids = append(ids, userID(name))
	}
	return s.sim.SetGroupUsers("access-approvers", ids...)
}

// api calls Slack with the bot's token, as nobody but the bot should be able to.
func api(s *story, args []string) error {
	if len(args) < 1 {
		return errUsage
	}
	form := url.Values{"token": {slacksim.DefaultWorld().App.BotToken}}
	for _, a := range args[1:] {
		name, value, _ := strings.Cut(a, "=")
		form.Set(name, value)
	}
	resp, err := http.PostForm(s.base+"/api/"+args[0], form)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Fprintf(s.ts.Stdout(), "%s\n", body)
	if err == nil && !strings.Contains(string(body), `"ok":true`) {
		err = fmt.Errorf("%s: %s", args[0], body)
	}
	return err
}

func deactivate(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	return s.sim.DeactivateUser(userID(args[0]))
}

func say(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	notice, err := s.sim.As(args[0]).Command(approvals, args[1])
	if err == nil && notice != "" {
		err = errors.New(notice)
	}
	return err
}

func ask(s *story, args []string) error {
	if err := say(s, args); err != nil {
		return err
	}
	return filed(s, nil)
}

// filed waits for an approval message that the story does not know yet.
func filed(s *story, args []string) error {
	if len(args) != 0 {
		return errUsage
	}
	known := strings.Fields(s.ts.Getenv("KNOWN"))
	ok := wait(func() bool {
		for _, m := range s.approvalMessages() {
			if id := about(m, "request"); !slices.Contains(known, id) {
				s.ts.Setenv("ID", id)
				s.ts.Setenv("KNOWN", strings.Join(append(known, id), " "))
				return true
			}
		}
		return false
	})
	if !ok {
		return errors.New("no new request appears in the approval channel")
	}
	// The log knows the message before anybody can be expected to click it.
	if !wait(func() bool { _, posted := s.request(s.id()).ApprovalPost(); return posted }) {
		return errors.New("the approval message does not get into the log")
	}
	return nil
}

// where takes a leading -dm, -home and the like off.
func where(args []string) (sight, []string) {
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		return sight(args[0]), args[1:]
	}
	return everywhere, args
}

func click(s *story, args []string) error {
	at, args := where(args)
	if len(args) < 2 || len(args) > 3 {
		return errUsage
	}
	if s.neg {
		if !wait(func() bool { _, there := s.button(args[0], at, s.id(), args[1]); return !there }) {
			return fmt.Errorf("the button %s does not go away", args[1])
		}
		return nil
	}
	expiry := strings.Join(args[2:], "")
	return s.press(args[0], at, s.id(), args[1], expiry)
}

// unheard is a click while no bot listens: Slack itself says so.
func unheard(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	err := s.press(args[0], everywhere, s.id(), args[1], "")
	if !errors.Is(err, slacksim.ErrNotConnected) && !errors.Is(err, slacksim.ErrNoAck) {
		return fmt.Errorf("the click ends with %v", err)
	}
	return nil
}

// clickon presses a button of a message that is found by its text.
func clickon(s *story, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	a := s.sim.As(args[0])
	for _, m := range slices.Backward(a.Messages(approvals)) {
		if m.Text == args[1] {
			return a.Click(slacksim.InMessage(channelID(), m.TS), "", args[2])
		}
	}
	return fmt.Errorf("there is no message %q", args[1])
}

// long asks with a reason of as many characters as the log takes, and some more.
func long(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	return ask(s, []string{args[0], "/access request payments-admins 5m " + strings.Repeat("x", 2999) + "yyy"})
}

// duplicate lets Slack deliver everything twice from now on.
func duplicate(s *story, _ []string) error {
	on := true
	return s.sim.Fault(slacksim.Fault{Duplicate: &on})
}

// startlost starts a bot that serves, and then gives up because of what no waiting
// can mend.
func startlost(s *story, args []string) error {
	if err := s.start(s.environment()); err == nil {
		select {
		case err = <-s.over:
			s.bot = nil
		case <-time.After(patience):
		}
		if err == nil {
			return errors.New("it does not give up")
		}
	}
	return botlog(s, args)
}

// clicks lets several people press a button of $ID at the same moment.
func clicks(s *story, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	start, done := make(chan struct{}), make(chan error)
	for _, who := range args[1:] {
		go func() {
			<-start
			done <- s.press(who, everywhere, s.id(), args[0], "")
		}()
	}
	close(start)
	var errs []error
	for range args[1:] {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

func reply(s *story, args []string) error {
	m, ok := s.approval(s.id())
	if len(args) != 2 || !ok {
		return errUsage
	}
	ts, err := s.sim.As(args[0]).Reply(approvals, m.TS, args[1])
	s.ts.Setenv("REPLY", ts)
	return err
}

func edit(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	return s.sim.As(args[0]).Edit(approvals, s.ts.Getenv("REPLY"), args[1])
}

func deleteReply(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	return s.sim.As(args[0]).Delete(approvals, s.ts.Getenv("REPLY"))
}

func sees(s *story, args []string) error {
	at, args := where(args)
	if len(args) != 2 {
		return errUsage
	}
	want, err := pattern(args[1:])
	if err != nil {
		return err
	}
	there := func() bool { return want.MatchString(s.seen(args[0], at, s.id())) }
	if s.neg {
		if there() {
			return fmt.Errorf("%s sees %s in:\n%s", args[0], args[1], s.seen(args[0], at, s.id()))
		}
		return nil
	}
	if !wait(there) {
		return fmt.Errorf("%s does not see %s in:\n%s", args[0], args[1], s.seen(args[0], at, s.id()))
	}
	return nil
}

// loses waits until something is not there any more.
func loses(s *story, args []string) error {
	at, args := where(args)
	if len(args) != 2 {
		return errUsage
	}
	want, err := pattern(args[1:])
	if err != nil {
		return err
	}
	if !wait(func() bool { return !want.MatchString(s.seen(args[0], at, s.id())) }) {
		return fmt.Errorf("%s still sees %s in:\n%s", args[0], args[1], s.seen(args[0], at, s.id()))
	}
	return nil
}

func holds(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	var have []string
	var err error
	ok := eventually(50*1e6, func() bool {
		have, err = s.have(args[1])
		there := slices.ContainsFunc(have, func(who string) bool { return strings.HasPrefix(who, args[0]+"@") }) // Carol's is another domain
		return err == nil && there != s.neg
	})
	if !ok {
		return fmt.Errorf("%s holds %v %v", args[1], have, err)
	}
	return nil
}

// subjects are the subject lines of the log, newest first.
func (s *story) subjects() []string {
	out, err := s.git(s.repo(), "log", "--format=%s", "audit")
	if err != nil {
		return nil
	}
	return strings.Split(out, "\n")
}

// catch NAME PATTERN keeps what the pattern's group matches in the log's
// subjects, as $NAME.
func catch(s *story, args []string) error {
	if len(args) != 2 {
		return errors.New("catch NAME PATTERN")
	}
	want, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	for _, l := range s.subjects() {
		if m := want.FindStringSubmatch(l); m != nil {
			s.ts.Setenv(args[0], m[1])
			return nil
		}
	}
	return fmt.Errorf("no subject matches %s", want)
}

func logged(s *story, args []string) error { return s.matches(args, s.subjects) }

// matches waits until one of the lines, or exactly as many as -count= says, match a
// pattern; negated, it fails if one does now.
func (s *story) matches(args []string, lines func() []string) error {
	count := -1
	if opt, rest := where(args); strings.HasPrefix(string(opt), "-count=") {
		var err error
		if count, err = strconv.Atoi(strings.TrimPrefix(string(opt), "-count=")); err != nil {
			return err
		}
		args = rest
	}
	want, err := pattern(args)
	if err != nil {
		return err
	}
	hits := func() int {
		n := 0
		for _, l := range lines() {
			if want.MatchString(l) {
				n++
			}
		}
		return n
	}
	if s.neg {
		if hits() > 0 {
			return fmt.Errorf("it is there:\n%s", strings.Join(lines(), "\n"))
		}
		return nil
	}
	if !eventually(50*1e6, func() bool { n := hits(); return n == count || count < 0 && n > 0 }) {
		return fmt.Errorf("%d times %s in:\n%s", hits(), args[0], strings.Join(lines(), "\n"))
	}
	return nil
}

func record(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	var name string
	ok := eventually(50*1e6, func() bool {
		out, err := s.git(s.repo(), "ls-tree", "-r", "--name-only", "audit")
		for _, l := range strings.Split(out, "\n") {
			if err == nil && strings.Contains(l, "/"+s.id()+"/") && strings.HasSuffix(l, "-"+args[0]+".yaml") {
				name = l
			}
		}
		return name != ""
	})
	if !ok {
		return fmt.Errorf("there is no file of %s for %s", args[0], s.id())
	}
	out, err := s.git(s.repo(), "show", "audit:"+name)
	fmt.Fprintln(s.ts.Stdout(), out)
	return err
}

func status(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	if !eventually(50*1e6, func() bool { return s.request(s.id()).Shown() == access.Status(args[0]) }) {
		return fmt.Errorf("the log says %q of %s", s.request(s.id()).Shown(), s.id())
	}
	return nil
}

func botlog(s *story, args []string) error {
	want, err := pattern(args)
	if err != nil {
		return err
	}
	there := func() bool { return want.MatchString(s.said(0)) }
	if s.neg && there() {
		return fmt.Errorf("the bot said %s", want.FindString(s.said(0)))
	}
	if !s.neg && !wait(there) {
		return errors.New("the bot did not say that")
	}
	return nil
}

func editconfig(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	name := s.path("countersign/countersign.yaml")
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	lines := strings.NewReplacer(`\n`, "\n")
	from, to := lines.Replace(args[0]), lines.Replace(args[1])
	if !strings.Contains(string(data), from) {
		return fmt.Errorf("%q does not stand in countersign.yaml", from)
	}
	changed := strings.Replace(string(data), from, to, 1)
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		return err
	}
	commit, err := s.commit("countersign", "Change the rules")
	s.ts.Setenv("CONFIG", commit)
	return err
}

func commit(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	id, err := s.git(s.ts.MkAbs(args[0]), "rev-parse", args[1])
	s.ts.Setenv("COMMIT", id)
	return err
}

func takes(s *story, _ []string) error {
	return botlog(s, []string{`msg="configuration in force" commit=` + s.ts.Getenv("CONFIG")})
}

func ready(s *story, args []string) error {
	var code int
	var body string
	ok := wait(func() bool {
		var err error
		code, body, err = s.get("/readyz")
		fits := len(args) == 0 || strings.Contains(body, args[0])
		return err == nil && fits && (code == 200) != s.neg && (code == 503) == s.neg
	})
	if !ok {
		return fmt.Errorf("/readyz says %d %s", code, body)
	}
	return nil
}

// page [-until PATTERN] PATH [HEADER…] is what the bot answers over HTTP: the first
// answer that fits the pattern, where there is one. Lists are a little behind the log.
func page(s *story, args []string) error {
	want, err := regexp.Compile("")
	if len(args) > 2 && args[0] == "-until" {
		want, err = pattern(args[1:2])
		args = args[2:]
	}
	if len(args) == 0 || err != nil {
		return errUsage
	}
	var code int
	var body string
	fits := wait(func() bool {
		code, body, err = s.get(args[0], args[1:]...)
		return err != nil || want.MatchString(body)
	})
	fmt.Fprintln(s.ts.Stdout(), code, body)
	if !fits {
		return fmt.Errorf("%s does not get to %q", args[0], want)
	}
	return err
}

func judging(s *story, _ []string) error {
	if found := s.sim.Findings(); len(found) > 0 {
		return fmt.Errorf("the local Slack found %d faults, the first: %s: %s %s", len(found), found[0].Kind, found[0].Text, found[0].Detail)
	}
	if wrong := append(s.pagerduty.Complaints(), s.incidentio.Complaints()...); len(wrong) > 0 {
		return fmt.Errorf("PagerDuty and incident.io complain: %q", wrong)
	}
	if wrong := s.wrong.told(); len(wrong) > 0 {
		return fmt.Errorf("GitHub was asked what is not documented: %q", wrong)
	}
	return s.world.judge()
}
