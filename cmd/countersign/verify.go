package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
	"countersign/config"
	"countersign/gitstore"
)

// verifyCommand checks a clone of the log.
func verifyCommand(ctx context.Context, args []string, c console) error {
	fs := flags(c, "verify", "--repo PATH [flags]", `Checks a clone of the log, offline: every commit is signed by an allowed key and
adds exactly one file, history is linear, every request folds, and every
decision would be taken again by the person it names, under the configuration
it names. Exits with 1 if anything was found.`)
	var v verification
	fs.StringVar(&v.repo, "repo", "", "the `PATH` of a repository or clone (required)")
	fs.StringVar(&v.ref, "ref", "audit", "the log's `BRANCH`; origin's is taken where there is no other")
	fs.StringVar(&v.configRepo, "config-repo", "", "the `PATH` of the repository with the configuration (default: --repo)")
	fs.StringVar(&v.configRef, "config-ref", "main", "the configuration's `BRANCH`")
	fs.StringVar(&v.configPath, "config-path", "countersign.yaml", "the configuration's `FILE` on it")
	fs.Func("replaced-config", "the head `COMMIT` of a history of the configuration that was replaced, and counts too (may be repeated)", func(commit string) error {
		v.replaced = append(v.replaced, commit)
		return nil
	})
	fs.StringVar(&v.signers, "allowed-signers", "", "the `FILE` of keys that may sign (default: allowed_signers on --config-ref)")
	asJSON := fs.Bool("json", false, "print the result as JSON")
	if err := parse(fs, args); err != nil {
		return err
	}
	if v.repo == "" {
		return usageError{"--repo is missing"}
	}
	if err := v.run(ctx); err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v.result); err != nil {
			return err
		}
	} else {
		v.print(c)
	}
	if len(v.result.Problems) > 0 {
		return errFound
	}
	return nil
}

type verification struct {
	repo, ref                         string
	configRepo, configRef, configPath string
	signers                           string
	replaced                          []string // heads of earlier histories of the configuration
	heads                             []string // of all of them

	result   verified
	rules    map[string]*access.Rules
	requests map[string]access.Request
	allowed  map[string]access.Allowance
	events   map[string]string // event id -> file
	broken   map[string]bool   // requests of which an event does not fold: what follows cannot be judged
	source   *gitstore.Repo
	newest   string    // config commit that the log rests on so far
	since    time.Time // when that was first so
	decided  time.Time // the newest decision so far
}

// verified is the outcome, as printed with --json.
type verified struct {
	OK       bool      `json:"ok"`
	Head     string    `json:"head"`
	Commits  int       `json:"commits"`
	Requests int       `json:"requests"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Problems []problem `json:"problems"`
}

type problem struct {
	Commit string `json:"commit,omitempty"`
	Path   string `json:"path,omitempty"`
	Text   string `json:"text"`
}

func (v *verification) found(commit, path, format string, args ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ") // one line, whatever stood in the file
	v.result.Problems = append(v.result.Problems, problem{commit, path, text})
}

func (v *verification) run(ctx context.Context) error {
	repo, err := gitstore.Open(ctx, v.repo)
	if err != nil {
		return err
	}
	v.source = repo
	if v.configRepo != "" {
		if v.source, err = gitstore.Open(ctx, v.configRepo); err != nil {
			return fmt.Errorf("--config-repo: %w", err)
		}
	}
	keys, err := v.keys(ctx)
	if err != nil {
		return err
	}
	for _, ref := range append([]string{v.configRef}, v.replaced...) {
		head, err := v.source.Resolve(ctx, ref)
		if err != nil {
			return fmt.Errorf("the configuration's history %s: %w", ref, err)
		}
		v.heads = append(v.heads, head)
	}
	v.allowed, v.events = map[string]access.Allowance{}, map[string]string{}
	v.rules, v.requests, v.broken = map[string]*access.Rules{}, map[string]access.Request{}, map[string]bool{}
	v.result.Problems = []problem{}
	report, problems, err := gitstore.Verify(ctx, repo, v.ref, keys, func(e gitstore.Entry, _ gitstore.CommitInfo) error {
		v.entry(ctx, e)
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range problems {
		v.found(p.Commit, p.Path, "%s", p.Text)
	}
	v.overdue(report.To)
	v.unexamined()
	v.result.Head, v.result.Commits, v.result.From, v.result.To = report.Head, report.Commits, report.From.UTC(), report.To.UTC()
	v.result.Requests, v.result.OK = len(v.requests), len(v.result.Problems) == 0
	return nil
}

// keys are the keys that may sign. Without them a signature says nothing: any
// key could have made it.
func (v *verification) keys(ctx context.Context) (*gitstore.AllowedSigners, error) {
	var data []byte
	var err error
	if v.signers != "" {
		data, err = os.ReadFile(v.signers)
	} else {
		var head string
		if head, err = v.source.Resolve(ctx, v.configRef); err == nil {
			data, err = v.source.ReadFile(ctx, head, "allowed_signers")
		}
		if errors.Is(err, gitstore.ErrNotFound) {
			return nil, fmt.Errorf("there is no allowed_signers on %s: name the file with --allowed-signers (serve prints the line for its key)", v.configRef)
		}
	}
	if err != nil {
		return nil, err
	}
	return gitstore.ParseAllowedSigners(data)
}

// entry folds one file and asks whether it would be decided again.
func (v *verification) entry(ctx context.Context, x gitstore.Entry) {
	if id, ok := ledger.AllowancePath(x.Path); ok {
		v.allowance(ctx, id, x)
		return
	}
	if id, ok := ledger.SweepPath(x.Path); ok {
		v.sweep(id, x)
		return
	}
	e, err := ledger.Read(ledger.File{Path: x.Path, Data: x.Data})
	if errors.Is(err, ledger.ErrNoEvent) {
		v.found(x.Commit, x.Path, "is no event of a request: nothing else belongs in the log")
		return
	}
	if was := v.events[e.ID]; err == nil && was != "" {
		v.found(x.Commit, x.Path, "has the event id of %s", was)
	}
	v.events[e.ID] = x.Path
	of := path.Base(path.Dir(x.Path))
	if v.broken[of] {
		return
	}
	if err != nil {
		v.broken[of] = true
		v.found(x.Commit, x.Path, "%v (nothing that follows in this request can be judged)", err)
		return
	}
	before := v.requests[e.Request]
	after, err := access.Apply(before, e)
	if err != nil {
		v.broken[of] = true
		v.found(x.Commit, x.Path, "does not fold: %v (nothing that follows in this request can be judged)", err)
		return
	}
	if !strings.HasPrefix(path.Base(x.Path), fmt.Sprintf("%04d-", after.Seq)) {
		v.found(x.Commit, x.Path, "is event %d of its request, and not numbered so", after.Seq)
	}
	if err := access.Justify(before, e, v.at(ctx, e.Config), v.at(ctx, after.FiledUnder), v.ahead(ctx, after)); err != nil {
		v.found(x.Commit, x.Path, "not justified: %v", err)
	}
	if !sameMessage(x.Message, ledger.Message(after, e)) {
		v.found(x.Commit, x.Path, "the commit message says something else than the file")
	}
	if want := ledger.Dir(after.ID, after.FiledAt); path.Dir(x.Path) != want {
		v.found(x.Commit, x.Path, "belongs into %s", want)
	}
	v.succeeds(ctx, x, e.Config, e.At)
	v.dated(x, e)
	v.again(ctx, x, e, before)
	v.requests[e.Request] = after
}

// sameMessage compares commit messages but for the empty lines that git adds or
// removes at their end.
func sameMessage(got, want string) bool {
	return strings.TrimRight(got, "\n") == strings.TrimRight(want, "\n")
}

// overlap is how long decisions that were under way may still rest on a
// configuration that another one has replaced.
const overlap = 2 * time.Minute

// succeeds checks that the configuration never goes back: once a later one has
// decided, an earlier one decides no more.
func (v *verification) succeeds(ctx context.Context, x gitstore.Entry, config string, at time.Time) {
	switch {
	case config == "" || config == v.newest || v.rules[config] == nil:
	case v.newest == "" || v.follows(ctx, v.newest, config):
		v.newest, v.since = config, at
	case at.After(v.since.Add(overlap)):
		v.found(x.Commit, x.Path, "rests on the configuration %.10s, which %.10s had replaced at %s", config, v.newest, v.since.Format(time.RFC3339))
	}
}

// follows reports whether a configuration builds on another one, or stands in a
// history that was put in the place of that one's.
func (v *verification) follows(ctx context.Context, earlier, later string) bool {
	if ok, err := v.source.IsAncestor(ctx, earlier, later); err != nil || ok {
		return err == nil
	}
	back, err := v.source.IsAncestor(ctx, later, earlier)
	return err == nil && !back && len(v.replaced) > 0
}

// sweep reads what a sweep has found. That it was so nobody can check later.
func (v *verification) sweep(id string, x gitstore.Entry) {
	_, message, err := ledger.ReadSweep(ledger.File{Path: x.Path, Data: x.Data})
	if err != nil {
		v.found(x.Commit, x.Path, "%v", err)
		return
	}
	if !sameMessage(x.Message, message) {
		v.found(x.Commit, x.Path, "the commit message says something else than the file")
	}
	if was := v.events[id+"/1"]; was != "" {
		v.found(x.Commit, x.Path, "has the event id of %s", was)
	}
	v.events[id+"/1"] = x.Path
}

// allowance folds one file of a pre-approval, and asks whether its maker might
// make it.
func (v *verification) allowance(ctx context.Context, id string, x gitstore.Entry) {
	before := v.allowed[id]
	a, err := ledger.FoldAllowance(before, ledger.File{Path: x.Path, Data: x.Data})
	if err != nil {
		v.found(x.Commit, x.Path, "%v", err)
		return
	}
	v.allowed[id] = a
	message, event, err := ledger.AllowanceMessage(a, ledger.File{Path: x.Path, Data: x.Data})
	if err != nil || !sameMessage(x.Message, message) {
		v.found(x.Commit, x.Path, "the commit message says something else than the file")
	}
	if was := v.events[event]; was != "" {
		v.found(x.Commit, x.Path, "has the event id of %s", was)
	}
	v.events[event] = x.Path
	if err := v.justifyAllowance(ctx, x, before, a); err != nil {
		v.found(x.Commit, x.Path, "not justified: %v", err)
	}
}

// justifyAllowance decides the making or the withdrawal of a pre-approval anew.
func (v *verification) justifyAllowance(ctx context.Context, x gitstore.Entry, before, a access.Allowance) error {
	by, config, at := a.By, a.Config, a.At
	if !a.Withdrawn.IsZero() {
		by, config, at = a.WithdrawnBy, a.WithdrawnUnder, a.Withdrawn
	}
	rules := v.at(ctx, config)
	if rules == nil {
		return errors.New("the configuration that governed it cannot be read")
	}
	v.succeeds(ctx, x, config, at)
	f := access.Facts{Now: at, Actor: access.Actor{Person: by}, Rules: rules, Members: a.Members, Duties: a.Duties}
	var err error
	switch {
	case before.Seq == 0:
		_, err = access.MakeAllowance(f, access.Allow{
			For: access.Actor{Person: a.For}, Resource: a.Resource, From: a.From, To: a.To, Duration: a.Duration,
		})
	case !a.Withdrawn.IsZero():
		err = access.MayWithdraw(f, before)
	}
	if err != nil {
		return fmt.Errorf("would be refused: %w", err)
	}
	return nil
}

// ahead are the pre-approvals that may have counted for a request so far.
func (v *verification) ahead(ctx context.Context, r access.Request) []access.Ahead {
	var out []access.Ahead
	for _, a := range v.allowed {
		if a.Resource == r.Resource {
			out = append(out, access.Ahead{Allowance: a, Made: v.at(ctx, a.Config)})
		}
	}
	slices.SortFunc(out, func(a, b access.Ahead) int {
		return cmp.Or(b.Allowance.At.Compare(a.Allowance.At), strings.Compare(b.Allowance.ID, a.Allowance.ID))
	})
	return out
}

// at are the rules of a config commit; nil if they cannot be read, or if people
// never put them in force: whoever can write to the repository, as the bot can,
// might bring any commit there and name it.
func (v *verification) at(ctx context.Context, commit string) *access.Rules {
	rules, known := v.rules[commit]
	if known {
		return rules
	}
	if data, err := v.source.ReadFile(ctx, commit, v.configPath); err == nil {
		if v.inForce(ctx, commit) {
			rules, _, _ = config.Parse(v.configPath, data, commit)
		} else {
			v.found(commit, v.configPath, "is named as the configuration of a decision, and is not in the history of %s", v.configRef)
		}
	}
	v.rules[commit] = rules
	return rules
}

// inForce reports whether a commit is in the history of the configuration, or in
// one that was replaced.
func (v *verification) inForce(ctx context.Context, commit string) bool {
	for _, head := range v.heads {
		if ok, err := v.source.IsAncestor(ctx, commit, head); err == nil && ok {
			return true
		}
	}
	return false
}

// grace is how far behind its expiry an access may be at the end of the log.
const grace = 10 * time.Minute

func (v *verification) overdue(end time.Time) {
	for _, r := range v.requests {
		if at := r.Expires(); r.End != nil && r.Grant != nil && r.End.Kept == "" && !at.IsZero() && r.End.At.After(at.Add(grace)) {
			v.found("", "", "request %s was to end at %s and ended at %s", r.ID, at.Format(time.RFC3339), r.End.At.Format(time.RFC3339))
		}
		if at := r.Expires(); !r.Status.Ended() && !at.IsZero() && end.After(at.Add(grace)) {
			v.found("", "", "request %s was to end at %s and has not by %s", r.ID, at.Format(time.RFC3339), end.UTC().Format(time.RFC3339))
		}
	}
}

func (v *verification) print(c console) {
	for _, p := range v.result.Problems {
		fmt.Fprintf(c.out, "%.10s %s %s\n", p.Commit, p.Path, p.Text)
	}
	if n := len(v.result.Problems); n > 0 {
		fmt.Fprintf(c.err, "%s in %s\n", count(n, "problem"), count(v.result.Commits, "commit"))
		return
	}
	fmt.Fprintf(c.err, "ok: %s, %s, all signed, nothing changed or removed\n", count(v.result.Commits, "commit"), count(v.result.Requests, "request"))
}
