package ledger_test

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// slow is a log that keeps back the record of what was posted, until something
// builds on it or somebody waits for it.
type slow struct {
	*bottest.Store
	going   chan struct{} // holds one as soon as it may go
	gone    chan struct{} // closed when it has
	urged   bool
	applied bool  // it is written though it fails
	err     error // how it fails
	deaf    bool  // nothing can be read
}

func (s *slow) Append(ctx context.Context, on ledger.Tail, files []ledger.File) (commits []string, err error) {
	if strings.HasSuffix(files[0].Path, "-notified.yaml") {
		defer close(s.gone)
		<-s.going
		if s.err == nil || s.applied {
			commits, err = s.Store.Append(ctx, on, files)
		}
		return commits, errors.Join(err, s.err)
	}
	if on.Last != nil {
		s.going <- struct{}{}
		<-s.gone
	}
	return s.Store.Append(ctx, on, files)
}

func (s *slow) Scan(ctx context.Context, after string, fn func(ledger.File) error) (string, error) {
	if s.deaf {
		return after, errors.New("nothing can be read")
	}
	return s.Store.Scan(ctx, after, fn)
}

func (s *slow) Urge(string) func() {
	s.urged = true
	s.going <- struct{}{}
	return func() {}
}

// TestBuildsOnWhatIsOnItsWay: a decision does not wait for the record of the message
// that it was made on, and is never in the log without it. Whatever becomes of that
// record, what is in the log follows from what is there.
func TestBuildsOnWhatIsOnItsWay(t *testing.T) {
	post := access.Notified{Post: access.Post{Notice: "approval", Channel: "C1", TS: "1.000100"}}
	reply := access.MessagePosted{TS: "1.000200", Text: "why?"}
	down := errors.New("the network is down")
	for name, c := range map[string]struct {
		err            error
		applied, other bool     // it is written all the same; somebody else's is in its place
		refuse         bool     // the decision is no
		want           []string // the log
		asked          []int    // how many events those who decide see
	}{
		"it lands":                   {want: []string{"requested", "notified", "message"}, asked: []int{2}},
		"a refusal waits":            {refuse: true, want: []string{"requested", "notified"}, asked: []int{2, 2}},
		"it fails":                   {err: down, want: []string{"requested", "message"}, asked: []int{2, 1}},
		"it fails, but is written":   {err: down, applied: true, want: []string{"requested", "notified", "message"}, asked: []int{2}},
		"another takes its place":    {err: down, other: true, want: []string{"requested", "reminded", "message"}, asked: []int{2, 2}},
		"it fails, and a no is none": {err: down, refuse: true, want: []string{"requested"}, asked: []int{2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slow{Store: &bottest.Store{}, going: make(chan struct{}, 1), gone: make(chan struct{}), err: c.err, applied: c.applied}
				l, err := ledger.Open(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				write := func(l *ledger.Ledger, e access.Event) error {
					_, err := l.Update(t.Context(), id, func(access.Request) ([]access.Event, error) { return []access.Event{e}, nil })
					return err
				}
				if err := write(l, kinds()[0]); err != nil {
					t.Fatal(err)
				}
				first := make(chan error, 1)
				go func() { first <- write(l, event(2, access.Person{}, post)) }()
				synctest.Wait()
				if r, _ := l.Request(id); len(r.Posts) > 0 || !l.Posted(id, "C1", "1.000100") || l.Posted(id, "C1", "9") {
					t.Fatal("what is on its way is taken for written, or not seen")
				}
				if c.other {
					other, err := ledger.Open(t.Context(), s.Store)
					if err != nil {
						t.Fatal(err)
					}
					if err := write(other, event(3, access.Person{}, access.Reminded{})); err != nil {
						t.Fatal(err)
					}
				}
				no := errors.New("no")
				var asked []int
				r, err := l.Update(t.Context(), id, func(r access.Request) ([]access.Event, error) {
					asked = append(asked, r.Seq)
					if c.refuse {
						return nil, no
					}
					return []access.Event{event(4, bob, reply)}, nil
				})
				if err := <-first; !errors.Is(err, c.err) {
					t.Errorf("the record ends with %v, want %v", err, c.err)
				}
				if c.refuse != errors.Is(err, no) || !c.refuse && err != nil || s.urged != c.refuse {
					t.Errorf("the decision ends with %v; the store was urged: %t", err, s.urged)
				}
				if got := recorded(t, s); !slices.Equal(got, c.want) || r.Seq != len(c.want) {
					t.Errorf("the log holds %v, want %v; the request is at %d", got, c.want, r.Seq)
				}
				if !slices.Equal(asked, c.asked) {
					t.Errorf("asked at %v, want %v", asked, c.asked)
				}
				if now, _ := l.Request(id); now.Seq != len(c.want) {
					t.Errorf("the ledger is at %d of %d", now.Seq, len(c.want))
				}
			})
		})
	}
}

// TestWrittenButNotRead: where a decision is written and what it builds on cannot be
// read, nobody is told that nothing was recorded.
func TestWrittenButNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{Store: &bottest.Store{}, going: make(chan struct{}, 1), gone: make(chan struct{}), applied: true, err: errors.New("the answer was lost")}
		l, err := ledger.Open(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		write := func(e access.Event) (access.Request, error) {
			return l.Update(t.Context(), id, func(access.Request) ([]access.Event, error) { return []access.Event{e}, nil })
		}
		if _, err := write(kinds()[0]); err != nil {
			t.Fatal(err)
		}
		first := make(chan error, 1)
		go func() { _, err := write(kinds()[1]); first <- err }()
		synctest.Wait()
		s.deaf = true
		if _, err := write(event(4, bob, access.MessagePosted{TS: "1.000200", Text: "why?"})); !errors.Is(err, access.ErrUncertain) {
			t.Errorf("got %v, want that nobody knows", err)
		}
		s.deaf = false
		<-first
		if r, err := write(event(5, access.Person{}, access.Reminded{})); err != nil || r.Seq != 4 {
			t.Errorf("afterwards it is at %d: %v", r.Seq, err)
		}
	})
}

// recorded are the kinds of the events in the log, as another reads it.
func recorded(t *testing.T, s ledger.Store) (kinds []string) {
	l, err := ledger.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	history, err := l.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history {
		_, kind, _ := strings.Cut(strings.TrimSuffix(path.Base(e.Path), ".yaml"), "-")
		kinds = append(kinds, kind)
	}
	return kinds
}
