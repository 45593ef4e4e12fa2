package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"countersign/bot/web"
	"countersign/bot/web/signin"
)

// entrance is how people come to the dashboard. The zero entrance is closed:
// there is no dashboard without a sign-in.
type entrance struct {
	issuer, clientID, clientSecret string // OpenID Connect
	domains                        string // whose people may sign in, by commas; empty: any
	header, proxies                string // of a reverse proxy that signs people in, and from where it connects
}

// slackIssuer is who signs people in where nothing else is said: its answer
// holds the id that the log uses.
const slackIssuer = "https://slack.com"

// indexFile is the index in the data dir. It can be removed while the bot is not
// running: the next start makes it anew.
const indexFile = "index.sqlite"

// show builds the dashboard over what the bot reads. Without a gate it answers on loopback only.
func (v *service) show(c web.Config) (*web.Server, error) {
	shelf := v.shelf(v.index)
	c.Requests, c.Record, c.Rules, c.Log = v.index, shelf, shelf, v.log
	c.CommitURL, c.ConfigURL = commitURL(v.repository), commitURL(v.rulesRepo)
	s, err := web.New(c)
	if err != nil {
		return nil, err
	}
	v.told = s.Changed
	return s, nil
}

// remote is a repository that may have an address elsewhere.
type remote interface {
	RemoteURL(name string) (string, error)
}

// commitURL makes the web address of a commit from that of the repository's
// origin; nil where it has none on a forge.
func commitURL(r remote) func(string) string {
	address, err := r.RemoteURL("origin")
	if err != nil {
		return nil
	}
	base := forgePage(address)
	if base == "" {
		return nil
	}
	return func(commit string) string { return base + "/commit/" + url.PathEscape(commit) }
}

// forgePage is the web page of a repository, by the address that git has for it:
// https://host/path, ssh://user@host/path, or user@host:path. It is empty for every
// other address. Names and passwords in the address are left out.
func forgePage(address string) string {
	if host, path, scp := strings.Cut(address, ":"); scp && !strings.Contains(address, "://") && strings.Contains(host, "@") {
		address = "ssh://" + host + "/" + path
	}
	u, err := url.Parse(address)
	if err != nil || !hostName.MatchString(u.Hostname()) || u.Scheme != "https" && u.Scheme != "ssh" {
		return ""
	}
	path := strings.TrimSuffix(strings.Trim(u.EscapedPath(), "/"), ".git")
	if path == "" {
		return ""
	}
	host := u.Host
	if u.Scheme == "ssh" { // its port is no web server's
		host = strings.TrimSuffix(strings.TrimSuffix(host, u.Port()), ":")
	}
	return "https://" + host + "/" + path
}

// hostName is a name or an address, without a port.
var hostName = regexp.MustCompile(`^[0-9A-Za-z.:_-]+$`)

// dashboard is the dashboard behind its sign-in; nil where none is set up.
func (v *service) dashboard(ctx context.Context) (http.Handler, error) {
	in := v.entrance
	if in == (entrance{}) && v.page == "" {
		return nil, nil
	}
	if in.clientID == "" && in.header == "" {
		return nil, errors.New("--dashboard needs a sign-in: COUNTERSIGN_OIDC_CLIENT_ID and COUNTERSIGN_OIDC_CLIENT_SECRET, or --dashboard-header and --dashboard-proxy")
	}
	if v.page == "" {
		return nil, errors.New("a sign-in is set up, and no dashboard: --dashboard gives its address as browsers see it")
	}
	s, err := v.show(web.Config{Viewer: v.viewer, SignOut: in.signOut()})
	if err != nil {
		return nil, err
	}
	d := &door{service: v, inside: s, key: filepath.Join(v.dataDir, "session_key")}
	if _, err := d.gate("T00000000", ""); err != nil { // what is wrong is said at the start
		return nil, err
	}
	return d, nil
}

func (in entrance) signOut() string {
	if in.header != "" {
		return "" // the proxy's to do
	}
	return signin.SignOutPath
}

// viewer is who has signed in, and what the rules in force let them see.
func (v *service) viewer(r *http.Request) (web.Viewer, bool) {
	who, ok := signin.Who(r)
	if !ok {
		return web.Viewer{}, false
	}
	rules := v.rules.Current()
	return web.Viewer{Person: who.Person, Name: who.Name, All: rules.Reviewer(who.Person) || rules.Auditor(who.Person)}, true
}

// A door is the gate before the dashboard. With Slack it can be made only when
// Slack has said which workspace is the bot's: nobody else's people come in.
type door struct {
	*service
	inside *web.Server
	key    string // file that seals the sessions

	mu   sync.Mutex
	open http.Handler // guarded by mu; nil until then
}

// ServeHTTP implements [http.Handler].
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, err := d.handler()
	if err != nil {
		d.log.Warn("the dashboard cannot be shown", "err", err)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "The dashboard is not ready yet: Slack has not answered. Try again in a few seconds.", http.StatusServiceUnavailable)
		return
	}
	h.ServeHTTP(w, r)
}

func (d *door) handler() (http.Handler, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		return d.open, nil
	}
	team, enterprise := d.app.Home()
	if team == "" && d.entrance.slack() {
		return nil, errors.New("slack has not said yet who the bot is")
	}
	g, err := d.gate(team, enterprise)
	if err != nil {
		return nil, err
	}
	d.open = g.Protect(d.inside)
	return d.open, nil
}

func (in entrance) slack() bool {
	return in.clientID != "" && (in.issuer == "" || in.issuer == slackIssuer)
}

// gate is the sign-in, for the people of a workspace where Slack is the issuer.
func (d *door) gate(team, enterprise string) (*signin.Gate, error) {
	in := d.entrance
	c := signin.Config{
		BaseURL: d.page, Stylesheet: d.inside.Stylesheet(), Icon: d.inside.Icon(), Public: []string{"/static/"},
		Now: time.Now, Log: d.log,
	}
	if in.header != "" {
		c.Proxy = &signin.Proxy{Header: in.header, From: byCommas(in.proxies)}
		if in.clientID != "" {
			return nil, errors.New("--dashboard-header and COUNTERSIGN_OIDC_CLIENT_ID are two ways in: choose one")
		}
		return signin.New(c)
	}
	if in.proxies != "" {
		return nil, errors.New("--dashboard-proxy means nothing without --dashboard-header")
	}
	key, err := sealKey(d.key)
	if err != nil {
		return nil, err
	}
	c.OIDC = &signin.OIDC{
		Issuer: in.issuer, ClientID: in.clientID, ClientSecret: in.clientSecret, Domains: byCommas(in.domains),
		Keys: [][]byte{key}, Client: &http.Client{Timeout: 10 * time.Second},
	}
	if in.slack() {
		c.OIDC.Issuer = slackIssuer
		for _, id := range []string{team, enterprise} {
			if id != "" {
				c.OIDC.SlackTeams = append(c.OIDC.SlackTeams, id)
			}
		}
	}
	return signin.New(c)
}

// byCommas are the parts of a list by commas.
func byCommas(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' })
}

// sealKey is the key of the sessions, made where there is none. Without the file
// everybody signs in again.
func sealKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	return key, os.WriteFile(file, key, 0o600)
}
