package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"countersign/bot/access"

	"gopkg.in/yaml.v3"
)

// formatVersion is the version of the files that are written.
const formatVersion = 1

// record is the stored form of an event. The names of its keys, their order and
// their meaning may never change: files written years ago must read the same.
// New keys may be added at the end of the part they belong to.
type record struct {
	Version      int       `yaml:"version"`
	EventID      string    `yaml:"event_id"`
	Request      string    `yaml:"request"`
	Event        string    `yaml:"event"`
	At           time.Time `yaml:"at"`
	By           person    `yaml:"by"`
	ConfigCommit string    `yaml:"config_commit"`
	Rules        int       `yaml:"rules"`
	RecordedLate bool      `yaml:"recorded_late,omitempty"`

	Groups map[string][]person `yaml:"groups,omitempty"`
	OnCall map[string][]duty   `yaml:"on_call,omitempty"`

	Requestor *person `yaml:"requestor,omitempty"`
	Principal *person `yaml:"principal,omitempty"`
	Resource  string  `yaml:"resource,omitempty"`
	Title     text    `yaml:"title,omitempty"`
	Ticket    text    `yaml:"ticket,omitempty"`
	Duration  length  `yaml:"duration,omitempty"`

	Source    string    `yaml:"source,omitempty"`
	Approvers []person  `yaml:"approvers,omitempty"`
	Policies  []string  `yaml:"policies,omitempty"`
	ExpiresAt time.Time `yaml:"expires_at,omitempty"`
	Target    *target   `yaml:"target,omitempty"`
	Reason    text      `yaml:"reason,omitempty"`

	Action  string `yaml:"action,omitempty"`
	Code    string `yaml:"code,omitempty"`
	Message text   `yaml:"message,omitempty"`

	Subject        text   `yaml:"subject,omitempty"`
	ObservedBefore string `yaml:"observed_before,omitempty"`
	InheritedFrom  string `yaml:"inherited_from,omitempty"`
	Cause          string `yaml:"cause,omitempty"`
	Kept           string `yaml:"kept,omitempty"`
	Error          text   `yaml:"error,omitempty"`
	Final          bool   `yaml:"final,omitempty"`
	Waiting        bool   `yaml:"waiting,omitempty"`

	TS       string `yaml:"ts,omitempty"`
	Bot      string `yaml:"bot,omitempty"`
	Text     *text  `yaml:"text,omitempty"`
	Previous *text  `yaml:"previous,omitempty"`

	Allowances []string `yaml:"allowances,omitempty"`

	Round int `yaml:"round,omitempty"`

	Notice    string  `yaml:"notice,omitempty"`
	To        *person `yaml:"to,omitempty"`
	Channel   string  `yaml:"channel,omitempty"`
	Permalink string  `yaml:"permalink,omitempty"`

	Calls     []call   `yaml:"calls,omitempty"`
	Unreached []string `yaml:"unreached,omitempty"`

	Found string `yaml:"found,omitempty"`
}

type person struct {
	Email string `yaml:"email,omitempty"`
	Slack string `yaml:"slack,omitempty"`
}

// duty is somebody's being on call, as it was answered.
type duty struct {
	Email    string    `yaml:"email,omitempty"`
	Slack    string    `yaml:"slack,omitempty"`
	Policy   string    `yaml:"policy,omitempty"`
	Level    int       `yaml:"level,omitempty"`
	Schedule string    `yaml:"schedule,omitempty"`
	Start    time.Time `yaml:"start,omitempty"`
	End      time.Time `yaml:"end,omitempty"`
}

// call is whom one integration was asked to call.
type call struct {
	Integration        string   `yaml:"integration"`
	Services           []string `yaml:"services,omitempty"`
	EscalationPolicies []string `yaml:"escalation_policies,omitempty"`
	Schedules          []string `yaml:"schedules,omitempty"`
	EscalationPath     string   `yaml:"escalation_path,omitempty"`
	From               string   `yaml:"from,omitempty"`
}

type target struct {
	Provider string `yaml:"provider"`
	With     with   `yaml:"with,omitempty"`
}

// text is what people (or providers) wrote. It is stored double-quoted: plain
// scalars lose line breaks and tabs.
type text string

// MarshalYAML implements yaml.Marshaler.
func (t text) MarshalYAML() (any, error) { return quoted(string(t)), nil }

func quoted(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: s}
}

// with is a target's settings, its strings stored as [text].
type with map[string]any

// MarshalYAML implements yaml.Marshaler.
func (w with) MarshalYAML() (any, error) { return quoteAll(map[string]any(w)), nil }

// UnmarshalYAML implements yaml.Unmarshaler. Without it, maps within would be
// of this type too.
func (w *with) UnmarshalYAML(n *yaml.Node) error {
	return n.Decode((*map[string]any)(w))
}

func quoteAll(v any) any {
	switch v := v.(type) {
	case string:
		return text(v)
	case []any:
		n := make([]any, len(v))
		for i := range v {
			n[i] = quoteAll(v[i])
		}
		return n
	case map[string]any:
		n := make(map[string]any, len(v))
		for k := range v {
			n[k] = quoteAll(v[k])
		}
		return n
	}
	return v
}

// length is a duration as people write it.
type length time.Duration

// MarshalYAML implements yaml.Marshaler.
func (l length) MarshalYAML() (any, error) {
	return access.FormatDuration(time.Duration(l)), nil
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (l *length) UnmarshalYAML(n *yaml.Node) error {
	d, err := access.ParseDuration(n.Value)
	*l = length(d)
	return err
}

// Encode writes an event as the bytes of its file. It reads them back before it
// returns, so that nothing is committed that could not be read again.
func Encode(e access.Event) ([]byte, error) {
	r, err := recordOf(e)
	if err != nil {
		return nil, err
	}
	data, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Body.Kind(), err)
	}
	back, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: what was written cannot be read: %w", e.Body.Kind(), err)
	}
	if !reflect.DeepEqual(back, e) {
		return nil, fmt.Errorf("encode %s: reads back as something else", e.Body.Kind())
	}
	return data, nil
}

// Decode reads the bytes of an event's file.
func Decode(data []byte) (access.Event, error) {
	r, ok := readCanonical(data)
	if !ok {
		var err error
		if r, err = readYAML(data); err != nil {
			return access.Event{}, err
		}
	}
	if r.Version != formatVersion {
		return access.Event{}, fmt.Errorf("decode event: format version %d is newer than this program", r.Version)
	}
	body, err := r.body()
	if err != nil {
		return access.Event{}, err
	}
	return access.Event{
		ID: r.EventID, Request: r.Request, At: r.At.UTC(), By: access.Person(r.By),
		Config: r.ConfigCommit, Rules: r.Rules, Late: r.RecordedLate, Groups: groupsOf(r.Groups), Duties: dutiesOf(r.OnCall), Unreached: r.Unreached, Body: body,
	}, nil
}

// readYAML reads any form of a record.
func readYAML(data []byte) (r record, err error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("decode event: %w", err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return r, errors.New("decode event: more than one document")
	}
	return r, nil
}
