package signin_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/bot/web/signin"
)

func TestSessionCookie(t *testing.T) {
	w := newWorld(t, broker, nil)
	b := w.browser()
	a := b.step(b.toCallback())
	var got *http.Cookie
	for _, c := range a.Cookies() {
		if c.Name == sessionCookie {
			got = c
		}
	}
	if got == nil {
		t.Fatalf("no session cookie among %v", a.Header["Set-Cookie"])
	}
	if !got.Secure || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" || got.MaxAge != 12*3600 {
		t.Errorf("the session cookie is %s", got.Raw)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(got.Value); err != nil || strings.Contains(string(raw), "alice") {
		t.Errorf("the session cookie can be read: %q %v", raw, err)
	}
	w.wait(12*time.Hour - time.Second)
	if !b.in() {
		t.Error("the session ended early")
	}
	w.wait(time.Second)
	if b.in() {
		t.Error("the session did not end after twelve hours, although it was used")
	}
}

// TestFakeSessions: nothing but what this gate sealed for this purpose counts.
func TestFakeSessions(t *testing.T) {
	w := newWorld(t, broker, nil)
	b := w.browser()
	b.signIn("/")
	good := b.cookie(sessionCookie)
	other := w.browser()
	other.toCallback()
	begun := other.cookie(flowCookie)

	try := func(name, cookies string, want bool) {
		t.Helper()
		got := w.browser().step("/requests", "Cookie", cookies)
		if in := got.StatusCode == 200; in != want || in != strings.HasPrefix(got.body, "hello alice@example.com|") {
			t.Errorf("%s: %d %q, want in %t", name, got.StatusCode, got.body, want)
		}
	}
	try("as it is", sessionCookie+"="+good, true)
	try("among others", "a=b; "+sessionCookie+"="+good+"; c=d", true)
	try("no prefix", "countersign="+good, false)
	try("another prefix", "__Secure-countersign="+good, false)
	try("small letters", strings.ToLower(sessionCookie)+"="+good, false)
	try("empty", sessionCookie+"=", false)
	try("twice", sessionCookie+"="+good+"; "+sessionCookie+"="+good, false)
	try("planted before", sessionCookie+"=x; "+sessionCookie+"="+good, false)
	try("planted after", sessionCookie+"="+good+"; "+sessionCookie+"=x", false)
	try("a sign-in begun", sessionCookie+"="+begun, false)
	try("padded", sessionCookie+"="+good+"=", false)
	try("not sealed", sessionCookie+"="+base64.RawURLEncoding.EncodeToString([]byte(`{"e":"bob@example.com","x":99999999999}`)), false)

	raw, _ := base64.RawURLEncoding.DecodeString(good)
	for i := range raw {
		raw[i] ^= 1
		try("one bit changed", sessionCookie+"="+base64.RawURLEncoding.EncodeToString(raw), false)
		raw[i] ^= 1
	}
	for _, n := range []int{0, 1, 12, 28, len(raw) - 1} {
		try("cut", sessionCookie+"="+base64.RawURLEncoding.EncodeToString(raw[:n]), false)
	}

	thief := w.browser()
	back := thief.toCallback()
	thief.plant(flowCookie, good)
	if got := thief.step(back); got.StatusCode != 400 {
		t.Errorf("a session serves as a sign-in that was begun: %d", got.StatusCode)
	}
}

// TestSettingsOfSession: a session lasts as long as the settings that it was
// made under, and keys can be replaced without anybody noticing.
func TestSettingsOfSession(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*signin.Config)
		want   bool
	}{
		{"a restart", func(*signin.Config) {}, true},
		{"a new key in front", func(x *signin.Config) { x.OIDC.Keys = [][]byte{key(9), key(1)} }, true},
		{"another key", func(x *signin.Config) { x.OIDC.Keys = [][]byte{key(9)} }, false},
		{"another workspace", func(x *signin.Config) { x.OIDC.SlackTeams = []string{"T0NEW"} }, false},
		{"a domain", func(x *signin.Config) { x.OIDC.Domains = []string{"example.com"} }, false},
		{"another client", func(x *signin.Config) { x.OIDC.ClientID = "x" }, false},
		{"another dashboard", func(x *signin.Config) { x.BaseURL = "https://login.example.com" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, slack, nil)
			b := w.browser()
			b.signIn("/")
			x, o := w.config, *w.config.OIDC
			x.OIDC = &o
			c.change(&x)
			w.open(x)
			got := b.step("/requests", "Host", strings.TrimPrefix(x.BaseURL, "https://"))
			if in := got.StatusCode == 200; in != c.want {
				t.Errorf("got %d, want in %t", got.StatusCode, c.want)
			}
		})
	}
	t.Run("the new key seals", func(t *testing.T) {
		w := newWorld(t, broker, func(x *signin.Config) { x.OIDC.Keys = [][]byte{key(9), key(1)} })
		b := w.browser()
		b.signIn("/")
		o := *w.config.OIDC
		o.Keys = [][]byte{key(9)}
		x := w.config
		x.OIDC = &o
		if w.open(x); !b.in() {
			t.Error("a session made with two keys needs the second")
		}
	})
}

// TestClockOfSession: a session from the future was made by a clock that was
// wrong, and would last too long.
func TestClockOfSession(t *testing.T) {
	w := newWorld(t, broker, nil)
	b := w.browser()
	b.signIn("/")
	for back, want := range map[time.Duration]bool{30 * time.Second: true, time.Hour: false} {
		w.wait(-back)
		if got := b.in(); got != want {
			t.Errorf("with the clock set back by %v: in %t, want %t", back, got, want)
		}
		w.wait(back)
	}
}
