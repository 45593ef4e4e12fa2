package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"

	"gopkg.in/yaml.v3"
)

// sweepPath is where findings of sweeps live, one file each.
var sweepPath = regexp.MustCompile(`^sweeps/\d{4}/\d{2}/\d{2}/([0-9A-Z]{26})/0001-found\.yaml$`)

// sweepRecord is the stored form of a finding. What holds for [record] holds here.
type sweepRecord struct {
	Version      int       `yaml:"version"`
	EventID      string    `yaml:"event_id"`
	Sweep        string    `yaml:"sweep"`
	Event        string    `yaml:"event"`
	At           time.Time `yaml:"at"`
	By           person    `yaml:"by"`
	ConfigCommit string    `yaml:"config_commit"`
	Rules        int       `yaml:"rules"`

	Resource string  `yaml:"resource,omitempty"`
	Target   *target `yaml:"target"`
	Appeared []text  `yaml:"appeared,omitempty"`
	Gone     []text  `yaml:"gone,omitempty"`
}

// SweepPath reports whether a file of the log is a finding of a sweep, and its id.
func SweepPath(path string) (id string, ok bool) {
	m := sweepPath.FindStringSubmatch(path)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// ReadSweep decodes a finding and checks that it is what its path says. The
// message is that of its commit, see [Message].
func ReadSweep(f File) (finding access.Finding, message string, err error) {
	id, ok := SweepPath(f.Path)
	if !ok {
		return finding, "", ErrNoEvent
	}
	var r sweepRecord
	d := yaml.NewDecoder(bytes.NewReader(f.Data))
	d.KnownFields(true)
	if err := d.Decode(&r); err != nil {
		return finding, "", fmt.Errorf("decode finding: %w", err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return finding, "", errors.New("decode finding: more than one document")
	}
	switch {
	case r.Version != formatVersion:
		return finding, "", fmt.Errorf("decode finding: format version %d is newer than this program", r.Version)
	case r.Sweep != id || r.EventID != id+"/1" || r.Event != "found" || r.Target == nil:
		return finding, "", fmt.Errorf("the file does not belong there: it is %s of sweep %s", r.Event, r.Sweep)
	case r.By != person{}:
		return finding, "", errors.New("is the bot's to do, and recorded as somebody's")
	}
	finding = access.Finding{Sweep: id, Resource: r.Resource, Target: r.Target.value(), Appeared: strs(r.Appeared), Gone: strs(r.Gone)}
	return finding, sweepMessage(r), nil
}

func sweepMessage(r sweepRecord) string {
	m := fmt.Sprintf("sweep %s: %s: %d appeared, %d gone\n\nSweep-Id: %s\nEvent: found\n", r.Sweep, resource(r.Resource), len(r.Appeared), len(r.Gone), r.Sweep)
	if plainID.MatchString(r.ConfigCommit) {
		m += "Config-Commit: " + r.ConfigCommit + "\n"
	}
	return m
}

// Swept records what a sweep has found.
func (l *Ledger) Swept(ctx context.Context, f access.Finding, config string, at time.Time) error {
	at = at.UTC().Truncate(time.Second)
	r := sweepRecord{
		Version: formatVersion, EventID: f.Sweep + "/1", Sweep: f.Sweep, Event: "found", At: at, ConfigCommit: config, Rules: access.Evaluator,
		Resource: f.Resource, Target: targetOf(f.Target), Appeared: texts(f.Appeared), Gone: texts(f.Gone),
	}
	data, err := yaml.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode finding: %w", err)
	}
	dir := at.Format("sweeps/2006/01/02/") + f.Sweep
	file := File{Path: dir + "/0001-found.yaml", Data: data, Message: sweepMessage(r), Time: at}
	if _, _, err := ReadSweep(file); err != nil {
		return fmt.Errorf("encode finding: what was written cannot be read: %w", err)
	}
	if _, err := l.store.Append(ctx, Tail{Dir: dir}, []File{file}); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	return l.takeSweep(file)
}

// takeSweep folds one finding. The same one twice changes nothing.
func (l *Ledger) takeSweep(file File) error {
	f, _, err := ReadSweep(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Path, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := sweepKey(f.Target)
	left := slices.DeleteFunc(slices.Clone(l.strangers[key]), func(s string) bool {
		return slices.Contains(f.Gone, s) || slices.Contains(f.Appeared, s)
	})
	if left = append(left, f.Appeared...); len(left) > 0 {
		l.strangers[key] = left
	} else {
		delete(l.strangers, key)
	}
	if l.checkpoint != nil {
		l.rouse()
	}
	return nil
}

// Strangers are the subjects that sweeps have found at a target, and not found
// gone since.
func (l *Ledger) Strangers(t access.Target) []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Clone(l.strangers[sweepKey(t)])
}

// sweepKey tells targets apart; fmt prints maps in the order of their keys.
func sweepKey(t access.Target) string { return fmt.Sprintf("%s %v", t.Provider, t.With) }

func texts(in []string) []text {
	var out []text
	for _, s := range in {
		out = append(out, text(s))
	}
	return out
}

func strs(in []text) []string {
	var out []string
	for _, s := range in {
		out = append(out, string(s))
	}
	return out
}

// Ended are the requests that have ended since then, in no order. Those that have
// left memory are read from the log.
func (l *Ledger) Ended(ctx context.Context, since time.Time) ([]access.Request, error) {
	all, here, newest := l.endedHere(since)
	if l.checkpoint == nil {
		return all, nil
	}
	_, places, err := l.checkpoint.Load(ctx, newest.Sub(since)+lately)
	if err != nil {
		return nil, fmt.Errorf("ask the checkpoint: %w", l.suspect(err))
	}
	if l.incomplete() {
		return nil, errors.New("the checkpoint is being built anew from the log; try again")
	}
	for _, p := range places {
		if here[p.ID] || p.Last.Before(since) || !strings.HasPrefix(p.Dir, "requests/") {
			continue
		}
		it, err := l.read(ctx, p)
		if err != nil {
			return nil, l.suspect(err)
		}
		if endedSince(it.request, since) {
			all = append(all, it.request)
		}
	}
	return all, nil
}

func endedSince(r access.Request, since time.Time) bool {
	return r.End != nil && !r.End.At.Before(since)
}

// endedHere are those of Ended that are in memory, what else is, and the time of
// the newest event.
func (l *Ledger) endedHere(since time.Time) (ended []access.Request, here map[string]bool, newest time.Time) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	here = map[string]bool{}
	for id, it := range l.state {
		here[id] = true
		if endedSince(it.request, since) {
			ended = append(ended, it.request)
		}
	}
	return ended, here, l.newest
}

func (l *Ledger) incomplete() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.partial
}
