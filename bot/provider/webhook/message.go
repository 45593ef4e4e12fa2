package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"countersign/bot/access"
)

// A message is the body of a call. Receivers rely on its keys: none may ever
// change its name or meaning.
type message struct {
	Action    string `json:"action"` // grant or revoke
	Request   string `json:"request"`
	Principal string `json:"principal"`
	Resource  string `json:"resource"`
	ExpiresAt string `json:"expires_at,omitempty"` // RFC 3339, UTC, whole seconds
}

func messageOf(action string, o access.Order) (message, error) {
	m := message{Action: action, Request: o.Request, Principal: o.Subject, Resource: o.Resource}
	if o.Request == "" || o.Subject == "" || o.Resource == "" {
		return m, fmt.Errorf("webhook: %s: the order lacks its request, subject or resource", action)
	}
	if !o.Expires.IsZero() {
		m.ExpiresAt = o.Expires.UTC().Format(time.RFC3339)
	}
	if action == "grant" && m.ExpiresAt == "" {
		return m, errors.New("webhook: grant: the order has no end")
	}
	return m, nil
}

func (m message) body() ([]byte, error) { return json.Marshal(m) }

// id stands for the order: the same order has the same one, however often and
// by whichever bot it is given. An extension is another order.
func (m message) id(at endpoint) string {
	parts := []string{at.url.String(), m.Action, m.Request, m.Principal, m.Resource}
	if m.Action == "grant" {
		parts = append(parts, m.ExpiresAt)
	}
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s,", len(p), p)
	}
	return m.Action + "_" + hex.EncodeToString(h.Sum(nil)[:16])
}

// maxAnswer bounds the body of an answer, in bytes.
const maxAnswer = 64 << 10

// An answer is what a receiver says. Both keys are needed: a page of a proxy that
// is JSON by chance has neither.
type answer struct {
	Changed       *bool `json:"changed"`
	PresentBefore *bool `json:"present_before"`
}

// read takes an answer for what it says. Its errors say what to do.
func read(action string, status int, data []byte) (answer, error) {
	if status < 200 || status > 299 {
		return answer{}, fmt.Errorf("%d %s: %s%s", status, http.StatusText(status), advice(status), excerpt(data))
	}
	if len(data) > maxAnswer {
		return answer{}, fmt.Errorf("the answer is longer than %d bytes; answer {changed, present_before} alone", maxAnswer)
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(data))
	err := d.Decode(&a)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more follows it")
		}
	}
	if err != nil || a.Changed == nil || a.PresentBefore == nil {
		return answer{}, fmt.Errorf("the answer is not {\"changed\":…,\"present_before\":…}; see whether the url is the receiver's%s", excerpt(data))
	}
	switch after := *a.PresentBefore; {
	case *a.Changed:
	case action == "grant" && !after:
		return answer{}, errors.New("the receiver says that the access was not there and that it changed nothing: nothing was given; see its log")
	case action == "revoke" && after:
		return answer{}, errors.New("the receiver says that the access is there and that it changed nothing: the access is still there; see its log, or take it away by hand")
	}
	return a, nil
}

func advice(status int) string {
	switch {
	case status >= 300 && status < 400:
		return "redirects are not followed; write the final address as url"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "check that both sides have the same secret, and that their clocks agree"
	case status == http.StatusNotFound:
		return "check the url; where a person or an access is gone, answer 200 with changed and present_before false"
	case status == http.StatusGone:
		return "an endpoint that is gone ends no access; where a person or an access is gone, answer 200 with changed and present_before false"
	}
	return "see the receiver's log"
}

// excerpt is the beginning of what was answered, if anything.
func excerpt(data []byte) string {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return ""
	}
	return fmt.Sprintf("; it answered: %s", data)
}
