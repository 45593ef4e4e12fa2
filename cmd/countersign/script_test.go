package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"countersign/gitstore/gitstoretest"
)

// TestMain lets scripts run this program under its own name: the test binary
// called so is the program.
// storiesAtOnce is how many stories are played at once: they wait more than they work.
var storiesAtOnce = 12

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(storiesAtOnce)); err != nil {
		panic(err)
	}
	testscript.Main(suite{m}, map[string]func(){"countersign": main})
}

// suite removes in the end what the tests share.
type suite struct{ *testing.M }

func (s suite) Run() int {
	defer removeBuilt()
	return s.M.Run()
}

// TestScript plays the stories in testdata/script. Each has a workspace, two
// repositories and a bot of its own, and says what people do and what they see.
//
// The words of the stories, beside those of testscript; those that look wait until
// it is so:
//
//	startbot [FLAG…]                 starts the bot (in HTTP mode Slack gets its address); ! startbot: it refuses, its words are the stdout
//	startlost PATTERN                starts it; it gives up by itself, saying that
//	stopbot | kill9                  Ctrl-C, which must end well | what a power cut does
//	freeze | thaw                    the bot hangs, and goes on
//	slack down|up                    Slack cannot be reached; or can again
//	fault METHOD ERROR [TIMES]       the next calls of a method fail
//	say PERSON COMMAND               a slash command in the approval channel
//	ask PERSON COMMAND               the same, and the request that comes of it becomes $ID
//	filed                            waits for another new request, which becomes $ID
//	click [-dm|-home] PERSON BUTTON [EXPIRY]    on the message of $ID; ! click: the button goes away
//	clicks BUTTON PERSON…            all at the same moment
//	clickon PERSON TEXT BUTTON       on any message in the channel
//	unheard PERSON BUTTON            a click while the bot is away
//	submit PERSON [FIELD=TEXT…]      the open form; ! submit: it is sent back, the errors are the stdout
//	choose PERSON FIELD VALUE        in the open form; glass yes ticks Break glass, once it is offered
//	suggest PERSON QUERY [PATTERN]   types into the form's resource; the options are the stdout
//	reply|edit|delete PERSON [TEXT]  in the thread of $ID; the latest reply
//	shortcut|home PERSON
//	[!] sees [-only|-dm|-home|-form|-channel|-message] PERSON PATTERN      ! sees: not now
//	loses …                          the same: waits until it is not there any more
//	[!] holds PERSON KEY             in the desired state, by and by
//	[!] log [-count=N] PATTERN       a subject line of the audit branch; ! log: not now
//	record EVENT                     the newest such file of $ID is the stdout
//	status STATUS                    what the log says of $ID
//	[!] botlog PATTERN               standard error of the bot; ! botlog: not now
//	editconfig OLD NEW               a person changes countersign.yaml; $CONFIG is the commit
//	oncall [-level=N|-permanent] PERSON…     in PagerDuty's policy PSRE, by the schedule PPRIMARY
//	shift [PERSON]                   in incident.io's schedule 01PRIMARY
//	vendors down|up                  PagerDuty, incident.io, GitHub and the receiver cannot be reached; or can again
//	receiver up|down                 the example receiver of webhooks, at SERVED/hook; it keeps what it noted
//	[!] githubhas PLACE "LOGIN ROLE" in a team (org/slug) or repository, now
//	github join|leave|accept|token TEAM LOGIN    what people do at GitHub; token: it is theirs that the bot has
//	protect [all]                    nobody pushes to main of the desired state, at SERVED/acme/desired.git; all: nobody removes a branch
//	pull merge|close|reopen N        what people do to its pull requests
//	[!] pull open|stuck|merged|closed N [PATTERN]    what there is of them, and says that; stuck: it conflicts
//	[!] thief PATTERN                what has come to SERVED/thief/; ! thief: not now. SERVED/moved redirects to there
//	postgres up|down                 a server with the roles bot, alice and readers; sets $PG_DSN
//	postgres sql STATEMENTS          what its administrator does by hand
//	[!] member ROLE GIVEN            at that server, now
//	[!] pages [-count=N] PATTERN     to people on call, at both; ! pages: not now
//	commit DIR REF                   sets $COMMIT
//	takes                            $CONFIG is in force
//	group [NAME…]                    who is in @access-approvers
//	groups everyone|admins|unpaid    who may change user groups
//	scopes [-SCOPE|+SCOPE…]          the app is installed anew with fewer and more scopes than the manifest's
//	channel shared|unshared|with|without|archived|unarchived    the approval channel: with another workspace; with or without the bot
//	upstream http|ssh                from now on the bot reaches the repositories so, and only so; $UPSTREAM is their directory
//	remote up|down|hangs|loses       over http: refused, never answered; or the next push is taken and its answer lost
//	skew DURATION                    by how much Slack's clock is ahead of ours
//	setgroup NAME…                   somebody puts others into it
//	deactivate NAME
//	duplicate                        from now on Slack delivers everything twice
//	long PERSON                      asks with a reason of the greatest length
//	api METHOD [KEY=VALUE…]          a call with the bot's token; the answer is the stdout
//	ready [!] [PATTERN]
//	page [-until PATTERN] PATH       of the bot's own server, as stdout
//	startdemo | deed JSON | [!] finds BUTTON      the demo and its page; $DEMO, $TS, $ID
//	judge                            the log, judged by real git and by verify; Slack found no fault
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Setup:               setUp,
		Cmds:                words(),
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			return name == "postgres" && serverPrograms() != "" || name == "sshd" && gitstoretest.Sshd() != "", nil
		},
	})
}

// setUp makes the world of a story.
func setUp(env *testscript.Env) error {
	w, err := newWorld(env.WorkDir, given(env.WorkDir, "countersign.yaml", defaultConfig), given(env.WorkDir, "access.yaml", defaultDesired))
	if err != nil {
		return err
	}
	path := env.Getenv("PATH")
	env.Vars = append(env.Vars, w.env...)
	env.Setenv("PATH", path)
	env.Setenv("SOON", time.Now().UTC().AddDate(0, 0, 7).Format("2006-01-02"))
	for name, value := range map[string]string{
		"REPO": w.repo(), "DESIRED": w.desired(), "CLONE": w.path("countersign"), "KEY": w.path("signing_key"),
		"SIGNERS": w.path("allowed_signers"), "SLACK": w.base,
	} {
		env.Setenv(name, value)
	}
	env.Values[worldKey{}] = w
	env.Defer(func() {
		if t, ok := env.T().(interface{ Failed() bool }); ok && t.Failed() {
			env.T().Log("the bot said:\n" + tail(w.said(0), 6000))
			for _, f := range w.sim.Findings() {
				env.T().Log("the local Slack found:", f.Kind, f.Text)
			}
		}
		w.close()
	})
	return nil
}

type worldKey struct{}

// given is a file of the story's own, or the default.
func given(dir, name, otherwise string) string {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return otherwise
	}
	return string(data)
}

func tail(s string, most int) string { return s[max(0, len(s)-most):] }

// A word is one command of the stories. It says what went wrong, if anything did.
type word func(s *story, args []string) error

// A story is one use of a word.
type story struct {
	*world
	ts  *testscript.TestScript
	neg bool
}

func (s *story) id() string { return s.ts.Getenv("ID") }

// words makes testscript commands of the words.
func words() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]word{
		"startbot": startbot, "stopbot": stopbot, "kill9": kill9, "freeze": freeze, "thaw": thaw,
		"slack": slack, "fault": fault, "groups": groups, "group": group, "scopes": scopes, "channel": channel, "skew": skew, "upstream": startUpstream, "remote": remoteFault, "deactivate": deactivate, "setgroup": setgroup, "api": api,
		"say": say, "ask": ask, "filed": filed, "click": click, "clicks": clicks, "unheard": unheard, "clickon": clickon, "long": long, "duplicate": duplicate, "startlost": startlost, "commit": commit, "submit": submit, "suggest": suggest, "choose": choose,
		"reply": reply, "edit": edit, "delete": deleteReply, "shortcut": shortcut, "home": home,
		"sees": sees, "loses": loses, "holds": holds, "log": logged, "catch": catch, "record": record, "status": status, "botlog": botlog,
		"oncall": oncall, "shift": shift, "vendors": vendors, "pages": pages, "alerts": alerts,
		"receiver": receiver, "githubhas": githubHas, "github": githubAct, "protect": protectDesired, "pull": pull, "thief": thief, "postgres": postgresServer, "member": isMember,
		"startdemo": startdemo, "deed": deed, "finds": finds,
		"editconfig": editconfig, "takes": takes, "ready": ready, "page": page, "judge": judging,
	}
	refusable := []string{"startbot", "click", "submit", "sees", "holds", "log", "botlog", "ready", "finds", "pages", "alerts", "githubhas", "member", "pull", "thief"}
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for name, do := range all {
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg && !slices.Contains(refusable, name) {
				ts.Fatalf("! %s makes no sense", name)
			}
			if err := do(&story{ts.Value(worldKey{}).(*world), ts, neg}, args); err != nil {
				ts.Fatalf("%v", err)
			}
		}
	}
	return cmds
}

// environment is what the bot gets of the story's variables.
func (s *story) environment() []string {
	var env []string
	for _, pair := range s.env {
		name, _, _ := strings.Cut(pair, "=")
		env = append(env, name+"="+s.ts.Getenv(name))
	}
	for _, name := range []string{"SLACK_BOT_TOKEN_FILE", "SLACK_APP_TOKEN_FILE", "SLACK_USER_TOKEN", "SLACK_USER_TOKEN_FILE", "SLACK_SIGNING_SECRET", "SLACK_SIGNING_SECRET_FILE",
		"COUNTERSIGN_GIT_TOKEN", "COUNTERSIGN_GIT_TOKEN_FILE", "COUNTERSIGN_SSH_KEY_FILE", "SSH_KNOWN_HOSTS", "GITHUB_TOKEN", "GITHUB_API_URL", "HOOK_SECRET", "HOOK_SECRET_FILE", "PG_DSN"} {
		if v := s.ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// pattern compiles what a story looks for. Lines are matched one by one only where
// it says so itself.
func pattern(args []string) (*regexp.Regexp, error) {
	if len(args) != 1 {
		return nil, errUsage
	}
	return regexp.Compile(args[0])
}

// wait polls for what a story looks for.
func wait(ok func() bool) bool { return eventually(30*time.Millisecond, ok) }
