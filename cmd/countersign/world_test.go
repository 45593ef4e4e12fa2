package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
	"countersign/bot/oncall/oncalltest"
	"countersign/bot/slacksim"
	"countersign/gitstore"
)

// approvals is the approval channel of every story.
const approvals = "access-requests"

// defaultConfig is the configuration of the stories that bring none of their own.
// DESIRED stands for the repository of the desired state, SERVED for the address
// of the local Slack, beside which the receiver of webhooks is.
const defaultConfig = `version: 1
slack:
  channel: "#access-requests"
reviewers:
  - bob@example.com
  - carol@partner.example
auditors: [erin@example.com]
settings:
  expiry_options: [2s, 5m, 1h]
  max_duration: 1d
resources:
  - id: payments-admins
    title: Payments admins
    max_duration: 8h
    provider: gitops
    with: {repo: "DESIRED", branch: main, file: access.yaml, key: payments.admins, value: email}
  - id: prod/database-readers
    title: Production database
    provider: gitops
    with: {repo: "DESIRED", branch: main, file: access.yaml, key: production.database.readers, value: email}
`

// defaultDesired is who has what before anything is granted.
const defaultDesired = `# kept by hand, and by Countersign
payments:
  admins: # may refund
    - olga@example.com # permanent
production:
  database:
    readers: []
`

// A world is what one story happens in: a Slack workspace, two repositories that
// real git made, and the bot as a process of its own.
type world struct {
	dir  string
	at   string   // the repository of the log, if not the usual one
	away upstream // how the bot reaches it, if not by its path
	env  []string // of git and of the bot
	sim  *slacksim.Server
	base string // address of the local Slack
	down atomic.Bool
	stop func()

	pagerduty  *oncalltest.PagerDuty
	incidentio *oncalltest.IncidentIO
	noVendor   atomic.Bool // neither can be reached
	places

	bot  *exec.Cmd
	over chan error // what became of bot
	addr string     // where it serves its health
	log  string     // file with what it says on standard error
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }
func (w *world) repo() string            { return cmp.Or(w.at, w.path("countersign.git")) }
func (w *world) desired() string         { return w.path("desired.git") }

// newWorld makes repositories and a workspace in dir. Nothing runs yet but Slack.
func newWorld(dir, config, desired string) (*world, error) {
	w := &world{dir: dir, log: filepath.Join(dir, "bot.log")}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(), "TZ=UTC", "LC_ALL=C.UTF-8",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_TEMPLATE_DIR=", // no sample hooks in each repository
		"GIT_AUTHOR_NAME=Olga Operator", "GIT_AUTHOR_EMAIL=olga@example.com",
		"GIT_COMMITTER_NAME=Olga Operator", "GIT_COMMITTER_EMAIL=olga@example.com",
	}
	signer, _, err := gitstore.LoadOrCreateSigner(w.path("signing_key"))
	if err != nil {
		return nil, err
	}
	allowed := strings.TrimSpace(signer.AllowedSignersLine(botIdentity.Email)) + "\n"
	if err := os.WriteFile(w.path("allowed_signers"), []byte(allowed), 0o644); err != nil {
		return nil, err
	}
	if err := w.serveSlack(); err != nil {
		return nil, err
	}
	config = strings.NewReplacer("DESIRED", w.desired(), "SERVED", w.base).Replace(config)
	if err := w.repository("desired", map[string]string{"access.yaml": desired}); err != nil {
		return nil, err
	}
	return w, w.repository("countersign", map[string]string{"countersign.yaml": config, "allowed_signers": allowed})
}

// repository makes a bare repository and a clone of it, in which people work.
func (w *world) repository(name string, files map[string]string) error {
	if _, err := w.git(w.dir, "init", "-q", "--bare", "-b", "main", name+".git"); err != nil {
		return err
	}
	if _, err := w.git(w.dir, "clone", "-q", name+".git", name); err != nil {
		return err
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(w.path(name), file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	_, err := w.commit(name, "Begin")
	return err
}

// commit commits everything in a clone and pushes it.
func (w *world) commit(clone, subject string) (string, error) {
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-qm", subject}, {"push", "-q", "origin", "HEAD:main"}} {
		if _, err := w.git(w.path(clone), args...); err != nil {
			return "", err
		}
	}
	return w.git(w.path(clone), "rev-parse", "HEAD")
}

// git runs the real git and returns what it printed, without the last line's end.
func (w *world) git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimRight(string(out), "\n"), nil
}

// What the bot must show to those who know who is on call. The judge looks for
// them, as for Slack's tokens.
const (
	pagerdutyToken   = "u+story-pagerduty-key"
	incidentioAPIKey = "inc-story-incidentio-key"
	routingKey       = "r-story-pagerduty-routing-key"
)

// vendors serves PagerDuty and incident.io, GitHub and the receiver of webhooks. In PagerDuty the service PSVC follows
// the escalation policy PSRE.
func (w *world) vendors() (http.Handler, error) {
	w.pagerduty = oncalltest.NewPagerDuty(oncalltest.PagerDutyConfig{Token: pagerdutyToken, RoutingKey: routingKey})
	w.pagerduty.AddService("PSVC", "PSRE")
	w.pagerduty.AddUser("ops@example.com")
	for _, u := range slacksim.DefaultWorld().Users {
		w.pagerduty.AddUser(u.Email)
	}
	w.incidentio = oncalltest.NewIncidentIO(oncalltest.IncidentIOConfig{Token: incidentioAPIKey})
	mux := http.NewServeMux()
	mux.Handle("/pagerduty/", http.StripPrefix("/pagerduty", w.pagerduty))
	mux.Handle("/incidentio/", http.StripPrefix("/incidentio", w.incidentio))
	if err := w.places.serve(mux, w.base, w.desired()); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.noVendor.Load() {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(rw, r)
	}), nil
}

// serveSlack serves the workspace, and beside it the vendors. While Slack is down,
// every connection to it is cut.
func (w *world) serveSlack() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.base = "http://" + l.Addr().String()
	// What is not taken in HTTP mode comes again while somebody still waits for it.
	timing := slacksim.Timing{Retry: []time.Duration{0, 2 * time.Second, 5 * time.Second}}
	if w.sim, err = slacksim.New(slacksim.Config{World: slacksim.DefaultWorld(), BaseURL: w.base, Timing: timing}); err != nil {
		l.Close()
		return err
	}
	slack, mux := w.sim.Handler(), http.NewServeMux()
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		if w.down.Load() {
			panic(http.ErrAbortHandler)
		}
		slack.ServeHTTP(rw, r)
	})
	vendors, err := w.vendors()
	if err != nil {
		l.Close()
		return err
	}
	mux.Handle("/pagerduty/", vendors)
	mux.Handle("/incidentio/", vendors)
	mux.Handle("/api/v3/", vendors)
	mux.Handle("/acme/", vendors)
	mux.Handle("/thief/", vendors)
	mux.Handle("/moved", vendors)
	mux.Handle("/hook", vendors)
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: mux}
	go func() { _ = srv.Serve(l) }() // ends with Close, and only then
	w.stop = func() {
		srv.Close()
		w.sim.Close()
	}
	w.env = append(w.env, w.tokens()...)
	return nil
}

func (w *world) tokens() []string {
	app := slacksim.DefaultWorld().App
	return []string{
		"SLACK_BOT_TOKEN=" + app.BotToken, "SLACK_APP_TOKEN=" + app.AppToken, "SLACK_API_URL=" + w.base + "/api/",
		"COUNTERSIGN_SIGNING_KEY_FILE=" + w.path("signing_key"),
		"PAGERDUTY_TOKEN=" + pagerdutyToken, "PAGERDUTY_API_URL=" + w.base + "/pagerduty",
		"PAGERDUTY_ROUTING_KEY=" + routingKey, "PAGERDUTY_EVENTS_URL=" + w.base + "/pagerduty",
		"INCIDENT_IO_API_KEY=" + incidentioAPIKey, "INCIDENT_IO_API_URL=" + w.base + "/incidentio",
	}
}

// slackDown cuts Slack off, or brings it back.
func (w *world) slackDown(down bool) error {
	w.down.Store(down)
	if down {
		return w.sim.Fault(slacksim.Fault{Disconnect: "now"})
	}
	return nil
}

// close ends what runs, however the story ended.
func (w *world) close() {
	_ = w.kill()
	w.endPlaces()
	w.stop()
}

// start starts the bot, with the environment env, and returns when it serves. The
// error is what it said if it ended instead.
func (w *world) start(env []string, flags ...string) (err error) {
	args := []string{"serve", "--repo", w.away.address(w.repo()), "--data-dir", w.path("data"), "--listen", "127.0.0.1:0", "--poll", "1s"}
	if w.addr, err = w.launch(env, "msg=serving listen=", append(args, flags...)...); err != nil || !inHTTPMode(env) {
		return err
	}
	// Somebody enters the bot's address in the settings of the app.
	at := "http://" + w.addr + "/slack/"
	to := slacksim.Endpoints{
		Events: at + "events", Interactive: at + "interactive", Commands: at + "commands", Options: at + "options",
	}
	// Whoever enters the address while the bot still starts is told to try again.
	eventually(50*time.Millisecond, func() bool {
		err = w.sim.Deliver(context.Background(), to)
		return err == nil
	})
	return err
}

// inHTTPMode reports whether a bot with this environment waits for Slack's requests.
func inHTTPMode(env []string) bool {
	return slices.Contains(env, "SLACK_APP_TOKEN=") && slices.ContainsFunc(env, func(pair string) bool {
		return strings.HasPrefix(pair, "SLACK_SIGNING_SECRET") && !strings.HasSuffix(pair, "=")
	})
}

// launch starts the program and returns the word that it says after a mark.
func (w *world) launch(env []string, mark string, args ...string) (string, error) {
	if w.bot != nil {
		return "", errors.New("the bot runs already")
	}
	out, err := os.OpenFile(w.log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer out.Close()
	from, err := out.Seek(0, 2)
	if err != nil {
		return "", err
	}
	cmd := exec.Command("countersign", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, env, out, out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w.bot, w.over = cmd, make(chan error, 1)
	go func(over chan error) { over <- cmd.Wait() }(w.over)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		_, rest, _ := strings.Cut(w.said(from), mark)
		if i := strings.IndexAny(rest, " \n"); i > 0 {
			return rest[:i], nil
		}
		select {
		case err := <-w.over:
			w.bot = nil
			return "", fmt.Errorf("%s ended with %v:\n%s", args[0], err, w.said(from))
		default:
		}
	}
	return "", fmt.Errorf("%s does not serve:\n%s", args[0], w.said(from))
}

// said is what the bot wrote to standard error from an offset on.
func (w *world) said(from int64) string {
	data, err := os.ReadFile(w.log)
	if err != nil || int64(len(data)) < from {
		return ""
	}
	return string(data[from:])
}

// end sends a signal and returns how the bot ended.
func (w *world) end(sig os.Signal) error {
	if w.bot == nil {
		return errors.New("the bot does not run")
	}
	if err := w.bot.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-w.over:
		w.bot = nil
		return err
	case <-time.After(patience):
		return fmt.Errorf("the bot did not end within %v of %v", patience, sig)
	}
}

// kill ends the bot as a power cut would.
func (w *world) kill() error {
	if w.bot == nil {
		return nil
	}
	if err := w.end(os.Kill); err != nil {
		if _, died := errors.AsType[*exec.ExitError](err); !died {
			return err
		}
	}
	return nil
}

// get asks the bot's own server.
func (w *world) get(path string, headers ...string) (code int, body string, err error) {
	client := http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+w.addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// isReady reports whether /readyz says so.
func (w *world) isReady() bool {
	code, _, err := w.get("/readyz")
	return err == nil && code == http.StatusOK
}

// requests folds the log as it stands in the repository.
func (w *world) requests() ([]access.Request, error) {
	repo, err := gitstore.Open(context.Background(), w.repo())
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(context.Background(), readStore{repo, "audit"})
	if err != nil {
		return nil, err
	}
	return l.Requests(), nil
}

// request folds one of them; its status is empty where there is none.
func (w *world) request(id string) access.Request {
	all, err := w.requests()
	if err != nil {
		return access.Request{}
	}
	for _, r := range all {
		if r.ID == id {
			return r
		}
	}
	return access.Request{}
}
