package slackapp_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/bot/slackapp"
)

// The example of Slack's documentation.
const (
	docSecret = "8f742231b10e8888abcd99yyyzzz85a5"
	docStamp  = 1531420618
	docMAC    = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	docBody   = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
		"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=" +
		"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
		"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

// sign makes Slack's headers for a body.
func sign(secret, body string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	return http.Header{"X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {"v0=" + hex.EncodeToString(mac.Sum(nil))}}
}

func TestSignature(t *testing.T) {
	const stampHeader, macHeader = "X-Slack-Request-Timestamp", "X-Slack-Signature"
	type request struct {
		secret, body string
		header       http.Header
		off          time.Duration // our clock before the time of the request
	}
	for name, c := range map[string]struct {
		change func(r *request)
		want   bool
	}{
		"as documented":         {func(*request) {}, true},
		"five minutes old":      {func(r *request) { r.off = 5 * time.Minute }, true},
		"older":                 {func(r *request) { r.off = 5*time.Minute + time.Millisecond }, false},
		"five minutes ahead":    {func(r *request) { r.off = -5 * time.Minute }, true},
		"further ahead":         {func(r *request) { r.off = -5*time.Minute - time.Millisecond }, false},
		"another secret":        {func(r *request) { r.secret = strings.Repeat("0", 32) }, false},
		"a byte more":           {func(r *request) { r.body += "&" }, false},
		"a byte less":           {func(r *request) { r.body = r.body[:len(r.body)-1] }, false},
		"another byte":          {func(r *request) { r.body = "T" + r.body[1:] }, false},
		"no body":               {func(r *request) { r.body = "" }, false},
		"no time":               {func(r *request) { r.header.Del(stampHeader) }, false},
		"no signature":          {func(r *request) { r.header.Del(macHeader) }, false},
		"an empty signature":    {func(r *request) { r.header.Set(macHeader, "") }, false},
		"no digits":             {func(r *request) { r.header.Set(macHeader, "v0=") }, false},
		"two times":             {func(r *request) { r.header.Add(stampHeader, strconv.Itoa(docStamp)) }, false},
		"two signatures":        {func(r *request) { r.header.Add(macHeader, docMAC) }, false},
		"a list of signatures":  {func(r *request) { r.header.Set(macHeader, docMAC+","+docMAC) }, false},
		"another version":       {func(r *request) { r.header.Set(macHeader, "v1"+docMAC[2:]) }, false},
		"without version":       {func(r *request) { r.header.Set(macHeader, docMAC[3:]) }, false},
		"half a signature":      {func(r *request) { r.header.Set(macHeader, docMAC[:35]) }, false},
		"a longer one":          {func(r *request) { r.header.Set(macHeader, docMAC+"00") }, false},
		"no hex":                {func(r *request) { r.header.Set(macHeader, "v0="+strings.Repeat("g", 64)) }, false},
		"another digit":         {func(r *request) { r.header.Set(macHeader, docMAC[:66]+"4") }, false},
		"another time":          {func(r *request) { r.header.Set(stampHeader, strconv.Itoa(docStamp+1)) }, false},
		"time in words":         {func(r *request) { r.header.Set(stampHeader, "now") }, false},
		"time with a sign":      {func(r *request) { r.header.Set(stampHeader, "+1531420618") }, false},
		"time with a fraction":  {func(r *request) { r.header.Set(stampHeader, "1531420618.0") }, false},
		"time as a hex number":  {func(r *request) { r.header.Set(stampHeader, "0x5b47a5ca") }, false},
		"time beyond all times": {func(r *request) { r.header.Set(stampHeader, "99999999999999999999") }, false},
		"time before all times": {func(r *request) { r.header.Set(stampHeader, "-1") }, false},
	} {
		r := request{docSecret, docBody, http.Header{stampHeader: {strconv.Itoa(docStamp)}, macHeader: {docMAC}}, 0}
		c.change(&r)
		if got := slackapp.Authentic(r.secret, r.header, []byte(r.body), time.Unix(docStamp, 0).Add(r.off)); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestPastIsBounded: what is remembered is so for longer than a signature can be
// used, and never grows without end.
func TestPastIsBounded(t *testing.T) {
	p, now := slackapp.NewPast(), time.Unix(docStamp, 0)
	if !p.Deliver("a", now, 10) || p.Deliver("a", now.Add(11*time.Minute), 10) {
		t.Error("a delivery counts once for eleven minutes")
	}
	if !p.Deliver("a", now.Add(16*time.Minute), 10) {
		t.Error("a delivery is remembered for ever")
	}
	for i := range 30_000 {
		p.Deliver(strconv.Itoa(i), now.Add(16*time.Minute), 20)
	}
	if known, order, bytes := p.Size(); known != 10_000 || order != 10_000 || bytes != 200_000 {
		t.Errorf("it holds %d, %d, %d bytes", known, order, bytes)
	}
	for i := range 3000 {
		p.Deliver("large "+strconv.Itoa(i), now.Add(17*time.Minute), 18_000)
	}
	if _, _, bytes := p.Size(); bytes > 17<<20 {
		t.Errorf("it holds %d bytes", bytes)
	}
	p.Deliver("last", now.Add(time.Hour), 1)
	if known, order, bytes := p.Size(); known != 1 || order != 1 || bytes != 1 {
		t.Errorf("after an hour it holds %d, %d, %d bytes", known, order, bytes)
	}
}
