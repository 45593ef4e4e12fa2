package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"countersign/bot/access"
)

// message is the standard input of a program. Programs rely on its keys: none may
// ever change its name or meaning.
func message(action string, o access.Order) ([]byte, error) {
	if o.Request == "" || o.Subject == "" || o.Resource == "" {
		return nil, fmt.Errorf("exec: %s: the order lacks its request, subject or resource", action)
	}
	m := struct {
		Action    string `json:"action"` // grant or revoke
		Request   string `json:"request"`
		Principal string `json:"principal"`
		Resource  string `json:"resource"`
		ExpiresAt string `json:"expires_at,omitempty"` // RFC 3339, UTC, whole seconds
	}{Action: action, Request: o.Request, Principal: o.Subject, Resource: o.Resource}
	if !o.Expires.IsZero() {
		m.ExpiresAt = o.Expires.UTC().Format(time.RFC3339)
	}
	if action == "grant" && m.ExpiresAt == "" {
		return nil, errors.New("exec: grant: the order has no end")
	}
	data, err := json.Marshal(m)
	return append(data, '\n'), err
}

// An answer is what a program says.
type answer struct {
	Changed       *bool `json:"changed"`
	PresentBefore *bool `json:"present_before"`
}

// read takes an answer for what it says. Its errors say what to do.
func read(action string, data []byte) (answer, error) {
	var a answer
	d := json.NewDecoder(bytes.NewReader(data))
	err := d.Decode(&a)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more follows it")
		}
	}
	if err != nil || a.Changed == nil || a.PresentBefore == nil {
		return answer{}, fmt.Errorf("the answer is not {\"changed\":…,\"present_before\":…} alone, but: %s", line(string(data), false))
	}
	switch after := *a.PresentBefore; {
	case *a.Changed:
	case action == "grant" && !after:
		return answer{}, errors.New("the program says that the access was not there and that it changed nothing: nothing was given")
	case action == "revoke" && after:
		return answer{}, errors.New("the program says that the access is there and that it changed nothing: the access is still there; take it away by hand, or mend the program")
	}
	return a, nil
}

// maxText bounds what is shown of a program's output, in characters.
const maxText = 300

// line is the beginning or the end of a text as one printable line.
func line(s string, end bool) string {
	r := []rune(strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, strings.TrimSpace(s)))
	switch {
	case len(r) <= maxText:
		return string(r)
	case end:
		return "…" + string(r[len(r)-maxText:])
	}
	return string(r[:maxText]) + "…"
}
