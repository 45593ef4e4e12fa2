package slackapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// window is by how much the time of a request may differ from ours, both ways, as
// Slack's documentation has it.
const window = 5 * time.Minute

// signed is what the headers of a request say about its body.
type signed struct {
	stamp string // Unix seconds, as they were sent
	mac   []byte
}

// signature reads the headers, and judges their form and time; the body may still
// say anything. Each must be there exactly once: two would leave open which one some
// other program on the way has looked at.
func signature(h http.Header, now time.Time) (signed, error) {
	stamps, macs := h.Values("X-Slack-Request-Timestamp"), h.Values("X-Slack-Signature")
	if len(stamps) != 1 || len(macs) != 1 {
		return signed{}, errors.New("it needs one X-Slack-Request-Timestamp and one X-Slack-Signature")
	}
	seconds, err := strconv.ParseUint(stamps[0], 10, 33)
	if err != nil {
		return signed{}, errors.New("its X-Slack-Request-Timestamp is no time")
	}
	if off := now.Sub(time.Unix(int64(seconds), 0)); off.Abs() > window {
		return signed{}, fmt.Errorf("its time is %s from ours, and %s is allowed: it is old, or a clock is wrong", off.Abs().Round(time.Second), window)
	}
	digits, ok := strings.CutPrefix(macs[0], "v0=")
	mac, err := hex.DecodeString(digits)
	if !ok || err != nil || len(mac) != sha256.Size {
		return signed{}, errors.New("its X-Slack-Signature is not v0= and 64 digits")
	}
	return signed{stamp: stamps[0], mac: mac}, nil
}

// covers reports whether the holder of the secret signed this body, byte for byte.
// It takes the same time for every wrong signature.
func (s signed) covers(secret string, body []byte) bool {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("v0:" + s.stamp + ":"))
	h.Write(body)
	return hmac.Equal(h.Sum(nil), s.mac)
}

// plausibleSecret refuses what cannot be a signing secret: with an empty or a short
// one anybody could sign.
func plausibleSecret(s string) bool {
	odd := func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') }
	return len(s) >= 16 && strings.IndexFunc(s, odd) < 0
}
