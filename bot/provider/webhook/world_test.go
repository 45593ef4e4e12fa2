package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/webhook"
)

var _ bot.Provider = (*webhook.Provider)(nil)

// TestMain sets a proxy that nothing answers: whoever uses it fails.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		os.Setenv(name, "http://127.0.0.1:1")
	}
	os.Unsetenv("NO_PROXY")
	os.Unsetenv("no_proxy")
	os.Exit(m.Run())
}

const whsec = "whsec_Zm9ydHktdHdvLWJ5dGVzL29mK2EtLXNlY3JldA=="

// clock is the time of every signature. It is far from the real one, so that
// nobody signs by that.
func clock() time.Time { return time.Date(2029, 12, 31, 23, 59, 58, 7, time.FixedZone("", 3600)) }

func provider(t *testing.T, change ...func(*webhook.Config)) *webhook.Provider {
	t.Helper()
	c := webhook.Config{
		Secret: func(name string) (string, error) {
			if name != "HOOK_SECRET" {
				t.Errorf("the secret %q is asked for", name)
			}
			return whsec, nil
		},
		Now: clock,
	}
	for _, f := range change {
		f(&c)
	}
	p, err := webhook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// trusting makes a provider trust a test server.
func trusting(s *httptest.Server) func(*webhook.Config) {
	return func(c *webhook.Config) {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AddCert(s.Certificate())
	}
}

func target(url string) access.Target {
	return access.Target{Provider: "webhook", With: map[string]any{"url": url, "secret_env": "HOOK_SECRET", "allow_private": true}}
}

func order(at access.Target) access.Order {
	return access.Order{
		Request: "01JXYZ", Resource: "crm/support", Target: at, Subject: "alice@example.com",
		Principal: access.Person{Email: "renamed@example.com"}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)),
	}
}

// serve starts a server over TLS that hands every call to f.
func serve(t *testing.T, f http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(f)
	s.Config.ErrorLog = discard()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// A world is a receiver that is stricter than a real one: whatever is not just
// as the package says fails the test.
type world struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex // guards all below
	holders map[string][]string
	bodies  map[string]string // by id
	answers map[string][]byte // by id
	next    bottest.Fault
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, holders: map[string][]string{}, bodies: map[string]string{}, answers: map[string][]byte{}}
	w.server = serve(t, w.handle)
	return w
}

// checked is the order of a call, read without the code under test.
func (w *world) checked(r *http.Request) (id string, body map[string]string) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return "", nil // the caller gave up
	}
	id = r.Header.Get("webhook-id")
	key, _ := base64.StdEncoding.DecodeString(whsec[len("whsec_"):])
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(clock().Unix(), 10) + "." + string(data)))
	want := map[string]string{
		"Content-Type": "application/json", "User-Agent": "countersign", "Webhook-Id": id, "Content-Length": strconv.Itoa(len(data)),
		"Webhook-Timestamp": strconv.FormatInt(clock().Unix(), 10),
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
	for name, values := range r.Header {
		if len(values) != 1 || values[0] != want[name] && name != "Connection" {
			w.t.Errorf("header %s: %q, want %q", name, values, want[name])
		}
	}
	if len(id) < 20 || r.Method != "POST" || r.Header.Get("webhook-signature") == "" {
		w.t.Errorf("%s with id %q and headers %v", r.Method, id, r.Header)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&body); err != nil || len(body) != 5 || (body["action"] != "grant" && body["action"] != "revoke") {
		w.t.Errorf("body %s: %v", data, err)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", body["expires_at"]); err != nil {
		w.t.Error(err)
	}
	return id, body
}

func (w *world) handle(rw http.ResponseWriter, r *http.Request) {
	id, body := w.checked(r)
	if body == nil {
		return
	}
	w.mu.Lock()
	fault := w.next
	w.next = ""
	if fault != bottest.Fails && fault != bottest.Hangs {
		w.act(r.URL.Path, id, body)
	}
	answer := w.answers[id]
	w.mu.Unlock()
	switch fault {
	case bottest.Hangs, bottest.HangsAfter:
		<-r.Context().Done()
	case bottest.Fails:
		http.Error(rw, "injected", http.StatusInternalServerError)
	case bottest.FailsAfter:
		panic(http.ErrAbortHandler)
	default:
		rw.Write(answer)
	}
}

// act does what is ordered, with the mutex held.
func (w *world) act(path, id string, body map[string]string) {
	if key := path + fmt.Sprint(body); w.bodies[id] == "" {
		w.bodies[id] = key
	} else if w.bodies[id] != key {
		w.t.Errorf("the id %s is that of %s and of %s", id, w.bodies[id], key)
	}
	present := slices.Contains(w.holders[path], body["principal"])
	if w.answers[id] == nil {
		w.answers[id] = fmt.Appendf(nil, `{"changed":%t,"present_before":%t,"more":[]}`+"\n", present == (body["action"] == "revoke"), present)
	}
	w.set(path, body["principal"], body["action"] == "grant")
}

func (w *world) set(path, subject string, has bool) {
	w.holders[path] = slices.DeleteFunc(w.holders[path], func(s string) bool { return s == subject })
	if has {
		w.holders[path] = append(w.holders[path], subject)
	}
}

func (w *world) fixture(t *testing.T) bottest.Fixture {
	path := func(at access.Target) string { return at.With["url"].(string)[len(w.server.URL):] }
	change := func(has bool) func(*testing.T, access.Target, string) {
		return func(_ *testing.T, at access.Target, subject string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.set(path(at), subject, has)
		}
	}
	return bottest.Fixture{
		Provider: provider(t, trusting(w.server)), Target: target(w.server.URL + "/crm"), Other: target(w.server.URL + "/wiki"),
		Alice: access.Account{Email: "alice@example.com"}, Bob: access.Account{Email: "bob@example.com"},
		Nobody: access.Account{GitHub: "nobody", Postgres: "nobody"}, Blind: true,
		Holders: func(_ *testing.T, at access.Target) []string {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Sorted(slices.Values(w.holders[path(at)]))
		},
		Give: change(true), Take: change(false),
		Inject: func(_ *testing.T, f bottest.Fault) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.next = f
		},
		Pending: func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.next != ""
		},
	}
}

func TestContract(t *testing.T) {
	bottest.TestProvider(t, func(t *testing.T) bottest.Fixture { return newWorld(t).fixture(t) })
}
