package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"countersign/bot/access"
)

// An endpoint is where and how a receiver is called.
type endpoint struct {
	url     *url.URL
	secret  string // its name
	private bool
}

func endpointOf(t access.Target) (endpoint, error) {
	address, _ := t.With["url"].(string)
	name, _ := t.With["secret_env"].(string)
	private, isBool := t.With["allow_private"].(bool)
	if t.With["allow_private"] != nil && !isBool {
		return endpoint{}, errors.New("webhook: the target's allow_private is neither true nor false")
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return endpoint{}, errors.New("webhook: the target's url is not an https address without user, password and fragment")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && private && loopback(u.Hostname())) {
		return endpoint{}, fmt.Errorf("webhook: the target's url begins with %q; only https is called (http on loopback with allow_private)", u.Scheme)
	}
	if !mayName(name) {
		return endpoint{}, fmt.Errorf("webhook: the target's secret_env %q is no name of a secret for webhooks; the bot's own credentials are none", name)
	}
	return endpoint{url: u, secret: name, private: private}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// mayName reports whether a secret of that name may sign: an environment
// variable's name, and none of the bot's own credentials.
func mayName(name string) bool {
	for _, own := range []string{"SLACK_", "GITHUB_", "PAGERDUTY_", "INCIDENT_IO_", "COUNTERSIGN_"} {
		if strings.HasPrefix(name, own) {
			return false
		}
	}
	odd := strings.ContainsFunc(name, func(c rune) bool { return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') })
	return name != "" && name[0] >= 'A' && name[0] <= 'Z' && !odd
}

// A secret signs, and knows what must never be shown.
type secret struct {
	key    []byte
	hidden []string
}

// minKey is the fewest bytes of a key.
const minKey = 16

func (p *Provider) secret(name string) (secret, error) {
	text, err := p.c.Secret(name)
	if err != nil {
		return secret{}, fmt.Errorf("webhook: the secret %s cannot be read; set it where the bot runs: %w", name, err)
	}
	key := []byte(text)
	encoded, standard := strings.CutPrefix(text, "whsec_")
	if standard {
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return secret{}, fmt.Errorf("webhook: the secret %s begins with whsec_, but what follows is not base64", name)
		}
	}
	if len(key) < minKey {
		return secret{}, fmt.Errorf("webhook: the secret %s has %d bytes; make one of at least %d (24 are usual)", name, len(key), minKey)
	}
	return secret{key: key, hidden: []string{text, encoded, string(key)}}, nil
}

// sign is the signature by the Standard Webhooks scheme.
func (s secret) sign(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// A fault is an error with a text that may be kept and shown.
type fault struct {
	text string
	err  error
}

func (f fault) Error() string { return f.text }
func (f fault) Unwrap() error { return f.err }

// maxText bounds the text of an error, in characters.
const maxText = 500

// fault makes the text of an error one printable line without the secret, which a
// receiver's answer may well repeat.
func (s secret) fault(err error) error {
	text := err.Error()
	for _, h := range s.hidden {
		text = strings.ReplaceAll(text, h, "[secret]")
		text = strings.ReplaceAll(text, strings.ReplaceAll(h, "/", `\/`), "[secret]") // as some write JSON
	}
	text = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, text)
	if r := []rune(text); len(r) > maxText {
		text = string(r[:maxText]) + "…"
	}
	return fault{text, err}
}
