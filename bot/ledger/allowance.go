package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"countersign/bot/access"

	"gopkg.in/yaml.v3"
)

// allowancePath is where pre-approvals live. Their files are written by the
// same rules as those of requests: `approved` makes one, `reminded` says who was
// told that it ends, `revoked` withdraws it.
var allowancePath = regexp.MustCompile(`^allowances/\d{4}/\d{2}/\d{2}/([0-9A-Z]{26})/(\d{4,})-(approved|reminded|revoked)\.yaml$`)

// allowanceDir is where a pre-approval's events stand, by the time of its making.
const allowanceDir = "allowances/2006/01/02/"

// allowanceRecord is the stored form of a pre-approval's events. What holds for
// [record] holds here.
type allowanceRecord struct {
	Version      int       `yaml:"version"`
	EventID      string    `yaml:"event_id"`
	Allowance    string    `yaml:"allowance"`
	Event        string    `yaml:"event"`
	At           time.Time `yaml:"at"`
	By           person    `yaml:"by"`
	ConfigCommit string    `yaml:"config_commit"`
	Rules        int       `yaml:"rules"`

	Principal *person   `yaml:"principal,omitempty"`
	Resource  string    `yaml:"resource,omitempty"`
	From      time.Time `yaml:"from,omitempty"`
	To        time.Time `yaml:"to,omitempty"`
	Duration  length    `yaml:"duration,omitempty"`
	Target    *target   `yaml:"target,omitempty"`

	Recipient *person `yaml:"recipient,omitempty"`
	Channel   string  `yaml:"channel,omitempty"`
	TS        string  `yaml:"ts,omitempty"`

	Groups map[string][]person `yaml:"groups,omitempty"`
	OnCall map[string][]duty   `yaml:"on_call,omitempty"`
}

func encodeAllowance(r allowanceRecord) ([]byte, error) {
	data, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode allowance: %w", err)
	}
	if _, err := decodeAllowance(data); err != nil {
		return nil, fmt.Errorf("encode allowance: what was written cannot be read: %w", err)
	}
	return data, nil
}

func decodeAllowance(data []byte) (allowanceRecord, error) {
	var r allowanceRecord
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("decode allowance: %w", err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return r, errors.New("decode allowance: more than one document")
	}
	if r.Version != formatVersion {
		return r, fmt.Errorf("decode allowance: format version %d is newer than this program", r.Version)
	}
	return r, nil
}

// FoldAllowance applies one file of the log to a pre-approval as it stood
// before (zero for the first), and checks that the file is what its path says.
func FoldAllowance(before access.Allowance, f File) (access.Allowance, error) {
	m := allowancePath.FindStringSubmatch(f.Path)
	if m == nil {
		return before, ErrNoEvent
	}
	r, err := decodeAllowance(f.Data)
	if err != nil {
		return before, err
	}
	if before.Seq > 0 && path.Dir(f.Path) != before.At.Format(allowanceDir)+before.ID {
		return before, errors.New("the file stands in another directory than the pre-approval's first one")
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || r.Allowance != m[1] || r.Event != m[3] || n != before.Seq+1 {
		return before, fmt.Errorf("the file does not belong there: it is %s of allowance %s, whose next event is %d", r.Event, r.Allowance, before.Seq+1)
	}
	if (r.Event == "approved") != (before.Seq == 0) || !before.Withdrawn.IsZero() {
		return before, fmt.Errorf("%s cannot happen to this allowance", r.Event)
	}
	switch r.Event {
	case "revoked":
		before.Seq, before.Withdrawn, before.WithdrawnBy, before.WithdrawnUnder = n, r.At.UTC(), access.Person(r.By), r.ConfigCommit
		return before, nil
	case "reminded":
		return remind(before, r)
	}
	if r.Principal == nil || r.Resource == "" || r.Target == nil {
		return before, errors.New("an allowance names a person and a resource")
	}
	return access.Allowance{
		ID: r.Allowance, Seq: 1, Delivery: r.EventID, By: access.Person(r.By), For: access.Person(*r.Principal),
		Resource: r.Resource, Target: r.Target.value(), From: r.From.UTC(), To: r.To.UTC(), Duration: time.Duration(r.Duration),
		At: r.At.UTC(), Config: r.ConfigCommit, Members: groupsOf(r.Groups), Duties: dutiesOf(r.OnCall),
	}, nil
}

func remind(before access.Allowance, r allowanceRecord) (access.Allowance, error) {
	if r.Recipient == nil {
		return before, errors.New("a reminder names whom it went to")
	}
	a, err := before.Remind(access.EndReminder{To: access.Person(*r.Recipient), Channel: r.Channel, TS: r.TS, At: r.At.UTC()})
	if err == nil {
		a.Seq++
	}
	return a, err
}

// AllowancePath reports whether a file of the log belongs to a pre-approval,
// and to which.
func AllowancePath(path string) (id string, ok bool) {
	m := allowancePath.FindStringSubmatch(path)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// Allow records a pre-approval under a new id. The same delivery twice makes
// one, and returns it the second time.
func (l *Ledger) Allow(ctx context.Context, id, delivery string, decide func() (access.Allowance, error)) (access.Allowance, error) {
	done, err := l.turns.lock(ctx, "filing "+delivery)
	if err != nil {
		return access.Allowance{}, err
	}
	defer done()
	if _, err := l.Sync(ctx); err != nil {
		return access.Allowance{}, err
	}
	for _, a := range l.Allowances() {
		if a.Delivery == delivery {
			return a, nil
		}
	}
	a, err := decide()
	if err != nil {
		return a, err
	}
	a.ID, a.Delivery = id, delivery
	err = l.write(ctx, a, allowanceRecord{
		EventID: delivery, Event: "approved", At: a.At, By: person(a.By), ConfigCommit: a.Config,
		Principal: ptr(person(a.For)), Resource: a.Resource, From: a.From, To: a.To, Duration: length(a.Duration), Target: targetOf(a.Target),
		Groups: groupRecords(a.Members), OnCall: dutyRecords(a.Duties),
	}, 0)
	return a, err
}

// Withdraw ends a pre-approval. decide is asked on its present state; what was
// withdrawn by the same delivery before is not withdrawn again.
func (l *Ledger) Withdraw(ctx context.Context, id, delivery string, by access.Person, config string, now time.Time, decide func(access.Allowance) error) error {
	return l.change(ctx, id, func(a access.Allowance) (*allowanceRecord, error) {
		if err := decide(a); err != nil {
			return nil, err
		}
		return &allowanceRecord{EventID: delivery, Event: "revoked", At: after(a, now), By: person(by), ConfigCommit: config}, nil
	})
}

// Remind records that somebody was told of a pre-approval that ends. Nothing is
// recorded where that stands in the log already, or where the pre-approval was
// withdrawn while the message was under way.
func (l *Ledger) Remind(ctx context.Context, id, delivery, config string, r access.EndReminder) error {
	return l.change(ctx, id, func(a access.Allowance) (*allowanceRecord, error) {
		told := slices.ContainsFunc(a.Reminded, func(was access.EndReminder) bool { return was.To == r.To })
		if told || !a.Withdrawn.IsZero() {
			return nil, nil
		}
		return &allowanceRecord{
			EventID: delivery, Event: "reminded", At: after(a, r.At), ConfigCommit: config,
			Recipient: ptr(person(r.To)), Channel: r.Channel, TS: r.TS,
		}, nil
	})
}

// after is when the next event of a pre-approval happens: now, and never before
// what has happened already.
func after(a access.Allowance, now time.Time) time.Time {
	at := now.UTC().Truncate(time.Second)
	if at.Before(a.At) {
		at = a.At
	}
	if n := len(a.Reminded); n > 0 && at.Before(a.Reminded[n-1].At) {
		at = a.Reminded[n-1].At
	}
	return at
}

// change adds what decide makes of the present state of a pre-approval, if
// anything, and decides again where somebody else was faster.
func (l *Ledger) change(ctx context.Context, id string, decide func(access.Allowance) (*allowanceRecord, error)) error {
	done, err := l.turns.lock(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	for range tries {
		if _, err := l.Sync(ctx); err != nil {
			return err
		}
		l.mu.RLock()
		has, ok := l.allowances[id]
		l.mu.RUnlock()
		a := has.Allowance
		if !ok {
			return access.Refuse(access.NoSuchRequest, "There is no such pre-approval.")
		}
		r, err := decide(a)
		if err != nil || r == nil {
			return err
		}
		if err := l.write(ctx, a, *r, a.Seq); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("pre-approval %s: %w, %d times in a row", id, ErrConflict, tries)
}

// write makes one event of a pre-approval durable and folds it. What could not
// be folded is never written: every later reader would call the log corrupt.
func (l *Ledger) write(ctx context.Context, a access.Allowance, r allowanceRecord, have int) error {
	r.Version, r.Allowance, r.Rules = formatVersion, a.ID, access.Evaluator
	data, err := encodeAllowance(r)
	if err != nil {
		return err
	}
	dir := a.At.Format(allowanceDir) + a.ID
	f := File{Path: fmt.Sprintf("%s/%04d-%s.yaml", dir, have+1, r.Event), Data: data, Message: allowanceMessage(a, r), Time: r.At}
	before := a
	if have == 0 {
		before = access.Allowance{}
	}
	if _, err := FoldAllowance(before, f); err != nil {
		return fmt.Errorf("%s cannot be recorded: %w", f.Path, err)
	}
	commits, err := l.store.Append(ctx, Tail{Dir: dir, Have: have}, []File{f})
	if err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	f.Commit = commits[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh, err := l.foldAllowance(a.ID, f)
	if fresh {
		l.ahead[f.Commit] = true
	}
	return err
}

// AllowanceMessage is the commit message of a file of a pre-approval, as it
// stands after it; see [Message].
func AllowanceMessage(a access.Allowance, f File) (message, eventID string, err error) {
	r, err := decodeAllowance(f.Data)
	if err != nil || r.Event == "reminded" && r.Recipient == nil {
		return "", "", errors.Join(err, errors.New("not an event of a pre-approval"))
	}
	return allowanceMessage(a, r), r.EventID, nil
}

func allowanceMessage(a access.Allowance, r allowanceRecord) string {
	verb, who := "pre-approve", "by "+local(access.Person(r.By))
	switch r.Event {
	case "revoked":
		verb = "withdraw pre-approval"
	case "reminded":
		verb, who = "remind of pre-approval", "told "+local(access.Person(*r.Recipient))
	}
	m := fmt.Sprintf("%s %s: %s → %s until %s (%s)\n\nAllowance-Id: %s\nEvent: %s\n", verb, a.ID, local(a.For), resource(a.Resource),
		a.To.Format("2006-01-02 15:04 MST"), who, a.ID, r.Event)
	for _, t := range [][2]string{{"Event-Id", r.EventID}, {"Config-Commit", r.ConfigCommit}} {
		if plainID.MatchString(t[1]) {
			m += t[0] + ": " + t[1] + "\n"
		}
	}
	return m
}

// pass is a pre-approval in memory, and the commits of its files.
type pass struct {
	access.Allowance
	commits []string
}

// takeAllowance adds one file of the log that belongs to a pre-approval.
func (l *Ledger) takeAllowance(id string, f File) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ahead, f.Commit)
	_, err := l.foldAllowance(id, f)
	return err
}

// foldAllowance folds a file of a pre-approval, unless it is known already. The
// caller holds mu.
func (l *Ledger) foldAllowance(id string, f File) (fresh bool, err error) {
	before := l.allowances[id]
	if m := allowancePath.FindStringSubmatch(f.Path); m != nil {
		if n, err := strconv.Atoi(m[2]); err == nil && n <= before.Seq {
			return false, nil
		}
	}
	a, err := FoldAllowance(before.Allowance, f)
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.Path, err)
	}
	l.allowances[id] = pass{a, append(before.commits, f.Commit)}
	l.changed(id)
	return true, nil
}

// readAllowance reads a pre-approval from the log.
func (l *Ledger) readAllowance(ctx context.Context, p Place) (pass, error) {
	files, err := l.store.Read(ctx, p.Dir)
	if err != nil {
		return pass{}, err
	}
	if len(files) < len(p.Commits) {
		return pass{}, &takeError{fmt.Errorf("%s holds %d files, not %d", p.Dir, len(files), len(p.Commits))}
	}
	var a pass
	for i, commit := range p.Commits {
		if a.Allowance, err = FoldAllowance(a.Allowance, files[i]); err != nil {
			return a, &takeError{fmt.Errorf("%s: %w", files[i].Path, err)}
		}
		a.commits = append(a.commits, commit)
	}
	return a, nil
}

// Allowances are all pre-approvals, newest first.
func (l *Ledger) Allowances() []access.Allowance {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]access.Allowance, 0, len(l.allowances))
	for _, a := range l.allowances {
		all = append(all, a.Allowance)
	}
	slices.SortFunc(all, func(a, b access.Allowance) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return bytes.Compare([]byte(b.ID), []byte(a.ID))
	})
	return all
}
