package remote_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/gitstore/gitstoretest"
	"countersign/gitstore/remote"
)

func TestAddresses(t *testing.T) {
	tests := map[string]string{ // address -> as people see it, or a part of the error after "!"
		"https://git.example.com/acme/audit.git":     "https://git.example.com/acme/audit.git",
		"https://bot@git.example.com:8443/audit.git": "https://bot@git.example.com:8443/audit.git",
		"http://127.0.0.1:3000/audit.git":            "http://127.0.0.1:3000/audit.git",
		"http://[::1]/audit.git":                     "http://[::1]/audit.git",
		"ssh://git@git.example.com:2222/srv/a.git":   "ssh://git@git.example.com:2222/srv/a.git",
		"git@github.com:acme/audit.git":              "git@github.com:acme/audit.git",
		"file:///srv/git/audit.git":                  "file:///srv/git/audit.git",
		"https://bot:hunter2@git.example.com/a.git":  "!has a password in it",
		"http://git.example.com/a.git":               "!plain http",
		"http://127.0.0.1.example.com/a.git":         "!plain http",
		"git://git.example.com/a.git":                "!not supported",
		"ext::sh -c id":                              "!",
		"ssh://-oProxyCommand=id/a.git":              "!",
		"git@host:-upload":                           "!option",
		"https://git.example.com":                    "!no path",
		"https://git.example.com/a.git?x=1":          "!more than a path",
		"file://elsewhere/a.git":                     "!no host",
	}
	for in, want := range tests {
		r, err := remote.New(remote.Config{URL: in})
		switch part, bad := strings.CutPrefix(want, "!"); {
		case bad && err == nil:
			t.Errorf("%s is taken as %s", in, r)
		case bad && (!strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v, want an error with %q and no password", in, err, part)
		case !bad && err != nil:
			t.Errorf("%s: %v", in, err)
		case !bad && r.String() != want:
			t.Errorf("%s is shown as %s", in, r)
		}
	}
}

func TestHostname(t *testing.T) {
	for address, want := range map[string]string{
		"https://Git.Example:8443/a/b": "git.example", "http://127.0.0.1:80/a": "127.0.0.1", "ssh://git@git.example:22/a": "git.example", "git@git.example:a/b": "git.example",
		"https://git.example@evil.example/a": "evil.example", "file:///srv/a": "", "/srv/a": "", "http://git.example/a": "", "": "",
	} {
		if got := remote.Hostname(address); got != want {
			t.Errorf("%s is at %q, want %q", address, got, want)
		}
	}
}

func TestIsURL(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("there:is", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"https://host/a": true, "git@host:a.git": true, "host:a.git": true, "file:///a": true,
		"/srv/git/a.git": false, "a.git": false, "./host:a": false, "there:is": false, "dir/host:a": false, ".": false,
	} {
		if got := remote.IsURL(s); got != want {
			t.Errorf("IsURL(%q) = %t", s, got)
		}
	}
}

// TestTokenStaysAtHome: a token goes to no other host, whatever its own says, and
// stands in no error, even if the remote repeats it.
func TestTokenStaysAtHome(t *testing.T) {
	const token = "s3cret-token"
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked: %s %s, authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer thief.Close()
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/moved"):
			http.Redirect(w, r, thief.URL+r.URL.Path+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
		default:
			_, password, _ := r.BasicAuth()
			http.Error(w, "I saw \x1b[31m"+password+" in "+r.Header.Get("Authorization"), http.StatusForbidden)
		}
	}))
	defer home.Close()
	for _, path := range []string{"/moved/a.git", "/a.git"} {
		asked := ""
		r, err := remote.New(remote.Config{URL: home.URL + path, Token: func(_ context.Context, host string) (string, error) {
			asked = host
			return token, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Pull(context.Background())
		if err == nil {
			t.Fatal("no error")
		}
		if asked != strings.TrimPrefix(home.URL, "http://") {
			t.Errorf("the token was asked for %q", asked)
		}
		for _, bad := range []string{token, "Basic eC1", "\x1b"} {
			if strings.Contains(err.Error(), bad) {
				t.Errorf("%s: the error holds %q: %v", path, bad, err)
			}
		}
	}
}

// TestStrictHostKeys: a host that is not known, or shows another key, is not
// spoken to.
func TestStrictHostKeys(t *testing.T) {
	s, dir := gitstoretest.ServeSSH(t), gitstoretest.Upstream(t)
	other := gitstoretest.ServeSSH(t)
	known, err := os.ReadFile(other.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := bytes.Cut(known, []byte(" "))
	host, port, _ := strings.Cut(s.Addr, ":")
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, test := range map[string]struct{ known, want string }{
		"known":    {s.KnownHosts, ""},
		"unknown":  {file(""), "not in known_hosts"},
		"replaced": {file("[" + host + "]:" + port + " " + string(key)), "another key"},
		"no file":  {"/does/not/exist", "known hosts"},
	} {
		r, err := remote.New(remote.Config{URL: s.URL(dir), KeyFile: s.KeyFile, KnownHosts: []string{test.known}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		p, err := r.Pull(context.Background())
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else {
				p.Close()
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestSilence: a remote that takes the connection and says nothing holds nobody
// longer than their ctx.
func TestSilence(t *testing.T) {
	silent := httptest.NewUnstartedServer(nil).Listener // accepts, and never reads
	defer silent.Close()
	key := gitstoretest.ServeSSH(t)
	for _, url := range []string{"http://" + silent.Addr().String() + "/a.git", "ssh://git@" + silent.Addr().String() + "/a.git"} {
		r, err := remote.New(remote.Config{URL: url, KeyFile: key.KeyFile, KnownHosts: []string{key.KnownHosts}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := r.Push(ctx); err == nil || ctx.Err() == nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
