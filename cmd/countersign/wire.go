package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/forge"
	"countersign/bot/index"
	"countersign/bot/ledger"
	"countersign/bot/slackapp"
	"countersign/config"
	"countersign/gitstore"
)

// botIdentity is author and committer of the log. Nobody else commits as it.
var botIdentity = gitstore.Identity{Name: "countersign", Email: "countersign@localhost"}

// A service is a bot with everything that it needs, ready to run.
type service struct {
	setup
	bot     *bot.Bot
	app     *slackapp.App
	ledger  *ledger.Ledger
	rules   *bot.Rulebook
	signer  *gitstore.Signer
	github  *forge.GitHub // of the configuration; nil where there is none
	store   *gitstore.Log
	awaited *awaited // who waits for which request
	unlock  func()

	workedOff chan struct{} // closed when what was overdue at the start is paid, or tried

	first bot.Change // what the start found in the configuration

	repository *gitstore.Repo          // of the log
	rulesRepo  *gitstore.Repo          // of the configuration
	providers  map[string]bot.Provider // by the name that resources use; without github where nobody signs in there
	roster     *roster                 // of GitHub's teams; nil without GitHub
	withheld   sync.Map                // what was said of resources that are not offered
	reporter   *bot.Reporter           // has reports made; nil where nobody is asked for them
	index      *index.Index            // the ledger's checkpoint, and what the dashboard reads
	told       func(id string)         // after a change can be read from the index

	replaced string // the log's config commit that another history was accepted to replace; empty: none
}

// open builds the service. It reads what the index does not have of the log, and
// makes the branch of the log where there never was one.
func (s setup) open(ctx context.Context) (*service, error) {
	unlock, err := lockDir(s.dataDir)
	if err != nil {
		return nil, err
	}
	v := &service{setup: s, told: func(string) {}, workedOff: make(chan struct{})}
	v.unlock = func() {
		if v.index != nil {
			v.index.Close()
		}
		unlock()
	}
	if err := v.build(ctx); err != nil {
		v.unlock()
		return nil, err
	}
	return v, nil
}

func (v *service) build(ctx context.Context) error {
	repo, configRepo, err := v.openRepos(ctx)
	if err != nil {
		return err
	}
	v.repository, v.rulesRepo = repo, configRepo
	v.keyFile = v.signingKey()
	signer, created, err := gitstore.LoadOrCreateSigner(v.keyFile)
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	v.signer = signer
	v.log.Info("signing key", "file", v.keyFile, "created", created, "allowed_signers", strings.TrimSpace(signer.AllowedSignersLine(botIdentity.Email)))
	v.store, err = gitstore.OpenLog(ctx, gitstore.LogConfig{
		Repo: repo, Branch: v.auditBranch, Identity: botIdentity, Signer: signer,
		Marker: filepath.Join(v.dataDir, logMarker), MayBegin: v.mayBegin,
		Held: func(wait time.Duration) {
			v.log.Warn("the remote of the log asks to be left alone for a while (429); what is to be recorded waits, revocations first", "for", wait.Round(time.Second))
		},
	})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	if err := v.store.Stale(); err != nil {
		v.log.Error("the log cannot be compared with its remote: it goes on with what was last seen, takes no decision, and revokes what expires", "err", err)
	}
	store, err := openStore(ctx, repo, v.store, filepath.Join(v.dataDir, logMemory), v.log)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	v.awaited = store.awaited
	if err := v.openLedger(ctx, store); err != nil {
		return err
	}
	// Which resources are offered depends on what their providers can do.
	if err := v.openProviders(ctx, repo, configRepo); err != nil {
		return err
	}
	if err := v.openRules(ctx, configRepo); err != nil {
		return err
	}
	return v.connect()
}

// openLedger opens the index, and the ledger over it.
func (v *service) openLedger(ctx context.Context, store ledger.Store) (err error) {
	file := filepath.Join(v.dataDir, indexFile)
	if v.index, err = index.Open(ctx, file); err != nil {
		return fmt.Errorf("%w; %s is made anew where it is missing", err, file)
	}
	if v.ledger, err = ledger.Resume(ctx, store, checkpoint{v.index}); err != nil {
		return err
	}
	if err := v.ledger.Anew(); err != nil {
		v.log.Warn("the index was built anew from the whole log", "because", err)
	}
	return nil
}

func (v *service) openRules(ctx context.Context, repo *gitstore.Repo) error {
	source := &configSource{repo: repo, branch: v.configBranch, path: v.configPath, bot: botIdentity, key: v.signer.Fingerprint(), starting: v.log}
	v.github = v.openForge(repo)
	var err error
	v.rules, v.first, err = bot.OpenRulebook(ctx, bot.RulebookConfig{
		Source: source,
		Parse:  v.parseRules,
		Origin: v.origin(),
		Used:   v.used(),
		Accept: v.accept,
	})
	source.starting = nil
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if v.first.Accepted {
		v.replaced = v.ledger.Config()
	}
	v.keepConfig()
	return v.checkKey(ctx)
}

// mayBegin refuses to begin a log with a key that auditors would not accept. The
// configuration is the newest one: no other was ever used with a log that is not there.
func (v *service) mayBegin(ctx context.Context) error {
	head, err := configSource{repo: v.rulesRepo, branch: v.configBranch}.Head(ctx)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	_, err = v.checkKeyAt(ctx, head)
	return err
}

// checkKey refuses to write with such a key later: auditors judge each commit, and
// the log keeps them all.
func (v *service) checkKey(ctx context.Context) error {
	named, err := v.checkKeyAt(ctx, v.rules.Current().Commit)
	if err == nil && !named {
		v.log.Warn("there is no allowed_signers beside the configuration: nobody can verify the log", "add", strings.TrimSpace(v.signer.AllowedSignersLine(botIdentity.Email)))
	}
	return err
}

// checkKeyAt fails if the configuration at a commit names the keys that may sign and
// the bot's is not among them. It reports whether it names any.
func (v *service) checkKeyAt(ctx context.Context, commit string) (named bool, err error) {
	keys, err := signersAt(ctx, v.rulesRepo, commit)
	if err != nil || keys == nil {
		return false, err
	}
	now := gitstore.CommitInfo{Signer: v.signer.Fingerprint(), SignatureValid: true, Committer: botIdentity, CommittedAt: time.Now()}
	if keys.Check(now) != nil {
		return true, fmt.Errorf("the signing key in %s is not among the allowed_signers of the configuration, so nobody could verify what it signs. Use the key that is listed, or add this line on %s:\n%s",
			v.keyFile, v.configBranch, strings.TrimSpace(v.signer.AllowedSignersLine(botIdentity.Email)))
	}
	return true, nil
}

// allowedSigners are the keys that may sign the log, as the configuration in force
// has them; nil where it has none.
func (v *service) allowedSigners(ctx context.Context) (*gitstore.AllowedSigners, error) {
	return signersAt(ctx, v.rulesRepo, v.rules.Current().Commit)
}

func signersAt(ctx context.Context, repo *gitstore.Repo, commit string) (*gitstore.AllowedSigners, error) {
	data, err := repo.ReadFile(ctx, commit, "allowed_signers")
	if errors.Is(err, gitstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := gitstore.ParseAllowedSigners(data)
	if err != nil {
		return nil, fmt.Errorf("allowed_signers: %w", err)
	}
	return keys, nil
}

// parseRules reads a configuration, without the resources that cannot be given.
func (v *service) parseRules(data []byte, commit string) (*access.Rules, error) {
	rules, warnings, err := config.Parse(v.configPath, data, commit)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		v.log.Warn("configuration", "commit", commit, "warning", w.String())
	}
	rules.Resources = v.offered(rules.Resources)
	if len(rules.Discoveries) > 0 && v.roster == nil {
		if _, said := v.withheld.LoadOrStore("discover", true); !said {
			v.log.Warn("no teams are discovered: set GITHUB_TOKEN, or the variables of a GitHub App")
		}
		rules.Discoveries = nil
	}
	return rules, nil
}

// used are the commits that the configuration must descend from: that of the
// log's newest event, and the one that was in force when the bot last ran. The
// file that names the latter is a convenience, except that it says whether it
// was accepted in the place of the former.
func (v *service) used() []string {
	logged := ""
	if v.ledger != nil {
		logged = v.ledger.Config()
	}
	data, err := os.ReadFile(v.configFile())
	if err != nil {
		return []string{logged}
	}
	last, replaced, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	if replaced != "" && replaced == logged {
		v.replaced = replaced
		return []string{last}
	}
	return []string{logged, last}
}

// keepConfig notes which configuration is in force, and under it the one that
// it was accepted to replace.
func (v *service) keepConfig() {
	text := v.rules.Current().Commit + "\n"
	if v.replaced != "" {
		text += v.replaced + "\n"
	}
	err := writeFile(v.configFile(), func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		v.log.Warn("the configuration in force cannot be noted", "err", err)
	}
}

func (v *service) configFile() string { return filepath.Join(v.dataDir, "config-commit") }

// connect makes the bot and its Slack edge, which know each other by interfaces.
func (v *service) connect() error {
	app, err := slackapp.New(slackapp.Config{
		BotToken: v.slack.bot, AppToken: v.slack.app, UserToken: v.slack.user, SigningSecret: v.slack.secret, APIURL: v.slack.api,
		Handle: func(ctx context.Context, c access.Command) (access.Request, error) {
			return v.bot.Handle(ctx, c)
		},
		Reader: reader{v.ledger, v.index, v.rules}, Logger: v.log, Dashboard: v.page, Urge: v.awaited.enter,
		Allowances: &slackapp.Allowances{
			Make: func(ctx context.Context, delivery string, by access.Actor, a access.Allow) (access.Allowance, error) {
				return v.bot.Allow(ctx, delivery, by, a)
			},
			Withdraw: func(ctx context.Context, delivery string, by access.Actor, id string) error {
				return v.bot.Withdraw(ctx, delivery, by, id)
			},
			List: v.ledger.Allowances,
			Reminded: func(ctx context.Context, delivery, id string, r access.EndReminder) error {
				return v.bot.Reminded(ctx, delivery, id, r)
			},
		},
		Propose: v.proposeReviewer, Teams: v.teams(),
		Members: func(ctx context.Context, g access.Group) ([]access.Person, error) { return v.bot.Members(ctx, g) },
		Duties:  func(ctx context.Context, w access.Watch) ([]access.Duty, error) { return v.bot.Duties(ctx, w) },
	})
	if err != nil {
		return err
	}
	v.app = app
	directories, err := v.directories()
	if err != nil {
		return err
	}
	onCall, err := v.onCall()
	if err != nil {
		return err
	}
	alarm, err := v.alarm()
	if err != nil {
		return err
	}
	v.bot, err = bot.New(bot.Config{
		Ledger: v.ledger, Rules: v.rules, Providers: v.providers,
		Notifier: notifier{app, v}, Now: time.Now, Log: v.log, Allowances: v.ledger, AllowanceNotifier: app,
		Directories: directories, OnCall: onCall, Alarm: alarm, Sweeps: v.ledger,
	})
	if err != nil {
		return err
	}
	v.reporter, err = v.openReporter()
	return err
}

// reader is the state as the Slack edge reads it.
type reader struct {
	*ledger.Ledger
	index *index.Index
	rules *bot.Rulebook
}

// Find looks into the index, and for what is of late, which the index may not
// have yet, into the ledger.
func (r reader) Find(ctx context.Context, f access.Filter, limit int) ([]access.Request, error) {
	var out []access.Request
	late := map[string]bool{}
	for _, x := range r.Lately() {
		if late[x.ID] = true; f.Match(x) {
			out = append(out, x)
		}
	}
	for after, found := "", 0; found < limit; {
		page, _, err := r.index.Find(ctx, f, after, limit)
		if err != nil {
			return nil, err
		}
		for _, x := range page {
			if after = x.ID; !late[x.ID] {
				out, found = append(out, x), found+1
			}
		}
		if len(page) < limit {
			break
		}
	}
	slices.SortFunc(out, func(a, b access.Request) int {
		return cmp.Or(b.FiledAt.Compare(a.FiledAt), cmp.Compare(b.ID, a.ID))
	})
	return out[:min(limit, len(out))], nil
}

func (r reader) Rules() *access.Rules { return r.rules.Current() }

func (r reader) RulesAt(ctx context.Context, commit string) *access.Rules {
	return r.rules.At(ctx, commit)
}

// notifier is the Slack edge, and notes which configuration is in force.
type notifier struct {
	*slackapp.App
	v *service
}

func (n notifier) RulesChanged() {
	n.v.keepConfig()
	n.App.RulesChanged()
}

// run serves until the context ends.
func (v *service) run(ctx context.Context) error {
	defer v.unlock()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if v.roster != nil {
		go v.roster.follow(ctx, v.orgs) // it only reads, so that nothing waits for its end
	}
	done := make(chan error, 4)
	go func() {
		keepSaved(ctx, v.ledger, v.told, v.log)
		done <- nil
	}()
	go func() {
		if v.reporter != nil {
			v.reporter.Run(ctx)
		}
		done <- nil
	}()
	v.bot.WorkOff(ctx) // before Slack brings anything new
	close(v.workedOff)
	go func() {
		err := v.bot.Run(ctx, v.intervals())
		stop(err)
		done <- err
	}()
	go func() {
		err := v.app.Run(ctx)
		stop(err)
		done <- err
	}()
	v.bot.Told(ctx, v.first)
	err := errors.Join(<-done, <-done, <-done, <-done)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Files in the data dir.
const (
	lockFile  = "lock"       // held by the bot that runs
	logMarker = "log-exists" // there once was a log
	logMemory = "log-head"   // how far it had come
)

// signingKey is the file of the key that signs the log.
func (s *setup) signingKey() string {
	return cmp.Or(s.keyFile, filepath.Join(s.dataDir, "signing_key"))
}

func (v *service) intervals() bot.Intervals {
	every := bot.Intervals{Config: v.poll, Sweep: v.sweep}
	if v.sweep == 0 {
		every.Sweep = -1
	}
	return every
}

// lockDir makes the data dir and keeps a second bot out of it.
func lockDir(dir string) (unlock func(), err error) {
	if err := canServe(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	release, err := lockWhole(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("data dir %s is in use by another countersign", dir)
	}
	return func() { release(); f.Close() }, nil
}
