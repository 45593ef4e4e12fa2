package bot_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
	"countersign/gitstore"
)

// inGit is the log in a repository, as the ledger wants it.
type inGit struct {
	repo *gitstore.Repo
	log  *gitstore.Log
}

// newLog begins a log in a repository of its own.
func newLog(b *testing.B) inGit {
	b.Helper()
	dir := b.TempDir()
	repo, err := gitstore.Init(b.Context(), filepath.Join(dir, "access.git"))
	if err != nil {
		b.Fatal(err)
	}
	signer, _, err := gitstore.LoadOrCreateSigner(filepath.Join(dir, "key"))
	if err != nil {
		b.Fatal(err)
	}
	log, err := gitstore.OpenLog(b.Context(), gitstore.LogConfig{
		Repo: repo, Branch: "audit", Identity: gitstore.Identity{Name: "Countersign", Email: "bot@example.com"}, Signer: signer,
	})
	if err != nil {
		b.Fatal(err)
	}
	return inGit{repo, log}
}

func (g inGit) Append(ctx context.Context, on ledger.Tail, files []ledger.File) ([]string, error) {
	batch := gitstore.Batch{Dir: on.Dir, Have: on.Have}
	if on.Last != nil {
		batch.Last = &gitstore.Entry{Path: on.Last.Path, Data: on.Last.Data}
	}
	for _, f := range files {
		batch.Entries = append(batch.Entries, gitstore.Entry{Path: f.Path, Data: f.Data, Message: f.Message, Time: f.Time})
	}
	commits, err := g.log.Append(ctx, batch)
	if errors.Is(err, gitstore.ErrConflict) {
		return nil, fmt.Errorf("%w: %w", ledger.ErrConflict, err)
	}
	return commits, err
}

func (g inGit) Scan(ctx context.Context, after string, fn func(ledger.File) error) (string, error) {
	return g.repo.Scan(ctx, after, g.log.Head(), func(e gitstore.Entry) error {
		return fn(ledger.File{Path: e.Path, Data: e.Data, Message: e.Message, Time: e.Time, Commit: e.Commit})
	})
}

func (g inGit) Read(ctx context.Context, dir string) ([]ledger.File, error) {
	entries, err := g.repo.ReadDir(ctx, g.log.Head(), dir)
	var out []ledger.File
	for _, e := range entries {
		out = append(out, ledger.File{Path: e.Path, Data: e.Data})
	}
	return out, err
}

// BenchmarkExpireTogether says how long it takes until 1,000 grants that expire
// in the same second are revoked, at a provider that takes 50 ms for each call,
// and the outcome of each stands in a repository on disk. Time is real.
func BenchmarkExpireTogether(b *testing.B) {
	for _, targets := range []int{1, 200} {
		b.Run(fmt.Sprintf("targets=%d", targets), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				store, p, end := grantMany(b, targets, 1000)
				l, err := ledger.Open(b.Context(), store)
				if err != nil {
					b.Fatal(err)
				}
				ctx, stop := context.WithCancel(b.Context())
				skew := time.Until(end.Add(-time.Second))
				bot, ended := newBot(b, l, slow{p}, targets, func() time.Time { return time.Now().Add(skew) }), make(chan struct{})
				go func() {
					defer close(ended)
					if err := bot.Run(ctx, every); err != nil {
						b.Error(err)
					}
				}()
				time.Sleep(time.Second) // which is when all of them expire
				b.StartTimer()
				began := time.Now()
				for len(l.Open()) > 0 {
					time.Sleep(10 * time.Millisecond)
				}
				took := time.Since(began)
				b.StopTimer()
				b.ReportMetric(took.Seconds(), "s/1000")
				stop()
				<-ended
				judgeMany(b, store, p, targets, end)
			}
		})
	}
}

// every is how often the bot looks by itself where nothing is simulated.
var every = bot.Intervals{Sweep: -1}

// newBot is a bot with one provider that has so many targets.
func newBot(b *testing.B, l *ledger.Ledger, p bot.Provider, targets int, now func() time.Time) *bot.Bot {
	b.Helper()
	book, _, err := bot.OpenRulebook(b.Context(), bot.RulebookConfig{Source: new(branch).push("c1", ""), Parse: several("slow"), Used: []string{l.Config()}})
	if err != nil {
		b.Fatal(err)
	}
	made, err := bot.New(bot.Config{
		Ledger: l, Rules: book, Providers: map[string]bot.Provider{"slow": p}, Notifier: &told{}, Allowances: l,
		Now: now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// grantMany gives access to so many people, all until the same moment: the clock
// stands still meanwhile.
func grantMany(b *testing.B, targets, n int) (ledger.Store, *bottest.Provider, time.Time) {
	b.Helper()
	store, p, now := newLog(b), bottest.NewProvider(b), time.Now().Truncate(time.Second)
	l, err := ledger.Open(b.Context(), store)
	if err != nil {
		b.Fatal(err)
	}
	made := newBot(b, l, p, targets, func() time.Time { return now })
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			who := access.Actor{Person: access.Person{Email: fmt.Sprintf("p%d@example.com", i), Slack: fmt.Sprintf("U%d", i)}}
			r, err := made.Handle(b.Context(), access.Command{ID: fmt.Sprintf("form:%d", i), Actor: who, Do: access.File{Resource: fmt.Sprintf("slow-%d", i%targets)}})
			if err == nil {
				_, err = made.Handle(b.Context(), access.Command{ID: fmt.Sprintf("click:%d", i), Actor: bob, Do: access.Approve{Request: r.ID, For: time.Hour}})
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	made.Reconcile(b.Context())
	live := 0
	for _, r := range l.Open() {
		if r.Status == access.Live {
			live++
		}
	}
	if live != n {
		b.Fatalf("%d of %d are live", live, n)
	}
	return store, p, now.Add(time.Hour)
}

// judgeMany reads the log anew and looks that all are over, none before its time.
func judgeMany(b *testing.B, store ledger.Store, p *bottest.Provider, targets int, end time.Time) {
	b.Helper()
	l, err := ledger.Open(b.Context(), store)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range l.Requests() {
		if r.Status != access.Expired || r.End.At.Before(end) || len(p.Holders(r.Target)) > 0 {
			b.Fatalf("%s is %s: %+v", r.ID, r.Status, r.End)
		}
	}
}
