package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestForgePage: commits are linked where the repository has a page, and no address
// makes a link of anything else.
func TestForgePage(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/acme/access.git":             "https://github.com/acme/access",
		"https://github.com/acme/access/":                "https://github.com/acme/access",
		"https://olga:ghp_secret@github.com/acme/access": "https://github.com/acme/access",
		"https://git.example.com:8443/group/sub/a.git":   "https://git.example.com:8443/group/sub/a",
		"HTTPS://git.example.com/a b.git":                "https://git.example.com/a%20b",
		"ssh://git@github.com/acme/access.git":           "https://github.com/acme/access",
		"ssh://git@git.example.com:2222/acme/access.git": "https://git.example.com/acme/access",
		"ssh://git@[2001:db8::1]:2222/acme/access.git":   "https://[2001:db8::1]/acme/access",
		"git@github.com:acme/access.git":                 "https://github.com/acme/access",
		"git@git.example.com:/srv/access.git":            "https://git.example.com/srv/access",

		"":                              "",
		"/srv/git/access.git":           "",
		"../access.git":                 "",
		"/srv/me@home:2/access.git":     "",
		"file:///srv/git/access.git":    "",
		"http://git.example.com/access": "", // nobody's page is read on the way
		"git://git.example.com/access":  "",
		"backup:access.git":             "", // an alias of somebody's ssh configuration
		"https://github.com":            "",
		"git@github.com:":               "",
		"https:///acme/access":          "",
		"https://%zz/access":            "",

		"javascript:alert(1)//@x/a":               "",
		"a@javascript:alert(1)":                   "https://javascript/alert(1)",
		"git@evil\"onclick=x:acme/access":         "",
		"git@<script>:acme/access":                "",
		"git@git.example.com:a?b#c/d":             "https://git.example.com/a",
		"git@git.example.com:\"><script>/x":       "https://git.example.com/%22%3E%3Cscript%3E/x",
		"https://git.example.com/a\nb":            "",
		"data:text/html,<script>x@y</script>":     "",
		"ext::sh -c touch% /tmp/x @github.com:/a": "",
	} {
		if got := forgePage(address); got != want {
			t.Errorf("forgePage(%q) = %q, want %q", address, got, want)
		}
	}
}

// served runs serve in this process until it gives up, with flags and variables by
// NAME=value. It returns the error and what was logged.
func served(t *testing.T, w *world, args ...string) (string, error) {
	t.Helper()
	flags := []string{"--repo", w.repo(), "--data-dir", w.path("data"), "--listen", "127.0.0.1:0"}
	env := map[string]string{}
	for _, pair := range append(w.tokens(), args...) {
		if name, value, ok := strings.Cut(pair, "="); ok && !strings.HasPrefix(pair, "--") {
			env[name] = value
		}
	}
	for _, a := range args {
		if strings.HasPrefix(a, "--") {
			flags = append(flags, a)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	var log bytes.Buffer
	err := serve(ctx, flags, console{env: func(name string) string { return env[name] }, out: io.Discard, err: &log})
	return log.String(), err
}

// TestDashboardRefused: what cannot be meant ends the start with words about it, shows
// no secret, and leaves the data dir to the next start.
func TestDashboardRefused(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	const secret = "oidc-secret-that-nobody-may-read"
	file := w.path("oidc-secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		page   = "--dashboard=https://access.example.com"
		header = "--dashboard-header=X-Email"
		proxy  = "--dashboard-proxy=10.0.0.7"
		issuer = "COUNTERSIGN_OIDC_ISSUER=https://login.example.com"
		client = "COUNTERSIGN_OIDC_CLIENT_ID=story"
		sealed = "COUNTERSIGN_OIDC_CLIENT_SECRET=" + secret
		byFile = "COUNTERSIGN_OIDC_CLIENT_SECRET_FILE="
	)
	for _, x := range []struct {
		args []string
		want string
	}{
		{[]string{page}, "needs a sign-in"},
		{[]string{page, sealed}, "needs a sign-in"},
		{[]string{page, issuer}, "needs a sign-in"},
		{[]string{page, proxy}, "needs a sign-in"},
		{[]string{client, sealed}, "no dashboard"},
		{[]string{header, proxy}, "no dashboard"},
		{[]string{page, header, proxy, client, sealed}, "choose one"},
		{[]string{page, proxy, issuer, client, sealed}, "means nothing without --dashboard-header"},
		{[]string{page, header}, "nobody could be believed"},
		{[]string{page, header, "--dashboard-proxy=everybody"}, "everybody"},
		{[]string{page, header, "--dashboard-proxy=0.0.0.0/0"}, "is everybody"},
		{[]string{page, "--dashboard-header=Cookie", proxy}, "cannot be the proxy's header"},
		{[]string{page + "/access", client, sealed}, "without a path"},
		{[]string{"--dashboard=http://access.example.com", client, sealed}, "https, or http on loopback"},
		{[]string{"--dashboard=access.example.com", client, sealed}, "base URL"},
		{[]string{"--dashboard=https://olga:" + secret + "@access.example.com", client}, "base URL"},
		{[]string{page, "COUNTERSIGN_OIDC_ISSUER=http://login.example.com", client, sealed}, "https, or http on loopback"},
		{[]string{page, issuer, client, sealed, "COUNTERSIGN_OIDC_DOMAINS=https://example.com"}, "is not an e-mail domain"},
		{[]string{page, issuer, client, sealed, byFile + file}, "both set"},
		{[]string{page, issuer, client, byFile + w.path("nowhere")}, "COUNTERSIGN_OIDC_CLIENT_SECRET_FILE"},
	} {
		log, err := served(t, w, x.args...)
		if err == nil {
			t.Errorf("%q: it serves:\n%s", x.args, log)
			continue
		}
		if !strings.Contains(err.Error(), x.want) {
			t.Errorf("%q: %v, want something about %q", x.args, err, x.want)
		}
		if strings.Contains(err.Error()+log, secret) {
			t.Errorf("%q: the secret is shown: %v\n%s", x.args, err, log)
		}
		unlock, err := lockDir(w.path("data"))
		if err != nil {
			t.Fatalf("%q: %v", x.args, err)
		}
		unlock()
	}
}

// TestSealKey: the key is made once, for its owner alone, and a file that is none is
// replaced.
func TestSealKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "session_key")
	first, err := sealKey(file)
	if err != nil || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Fatalf("%x, %v", first, err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if again, err := sealKey(file); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second time it is %x, %v; want %x", again, err, first)
	}
	if err := os.Truncate(file, 7); err != nil {
		t.Fatal(err)
	}
	if anew, err := sealKey(file); err != nil || len(anew) != 32 || bytes.Equal(first, anew) {
		t.Errorf("instead of a shortened one: %x, %v", anew, err)
	}
	if _, err := sealKey(filepath.Join(file, "below")); err == nil {
		t.Error("a key that cannot be kept is no error")
	}
}
