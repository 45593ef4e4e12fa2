package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest/browser"
	"countersign/bot/web"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a browser may take for anything.
const patience = time.Minute

// A desk is a browser in front of a dashboard.
type desk struct {
	t    *testing.T
	ctx  context.Context
	base string
	m    *memory
	s    map[string]*story
	web  *web.Server

	mu      sync.Mutex
	trouble []string // guarded by mu; what the browser complained about
}

// sit opens a browser at a dashboard; without one on this machine the test is
// skipped. Whatever the browser complains about fails the test.
func sit(t *testing.T, width, height int64, flags ...chromedp.ExecAllocatorOption) *desk {
	t.Helper()
	t.Parallel()
	ctx := browser.Start(t, flags...)
	now := time.Now().UTC().Truncate(time.Second)
	d := &desk{t: t, ctx: ctx, m: logOf(120, now.Add(-time.Hour))}
	d.s = d.m.stories(t, now)
	d.web = serve(t, d.m, everything, now)
	srv := httptest.NewServer(d.web)
	t.Cleanup(func() { browser.Close(srv) })
	d.base = srv.URL
	d.watch()
	d.do(chromedp.EmulateViewport(width, height))
	return d
}

// watch gathers errors of scripts, refused resources, failed requests and
// breaches of the content security policy.
func (d *desk) watch() {
	messages := chromedp.Console(d.ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				d.mu.Lock()
				d.trouble = append(d.trouble, string(m.Type)+": "+m.Text)
				d.mu.Unlock()
			}
		}
	}()
	d.t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, x := range d.trouble {
			d.t.Errorf("the browser complains: %s", x)
		}
	})
}

func (d *desk) do(steps ...chromedp.Action[chromedp.Void]) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) open(path string) {
	d.t.Helper()
	d.do(chromedp.Navigate(d.base + path))
}

func (d *desk) keys(keys string) {
	d.t.Helper()
	d.do(chromedp.KeyEvent(keys))
}

// eval is what an expression of JavaScript comes to in the page, in the next one
// where the page goes away meanwhile. Each %s in it stands for one of the values.
func eval[T any](d *desk, expression string, args ...any) T {
	d.t.Helper()
	for _, a := range args {
		data, err := json.Marshal(a)
		if err != nil {
			d.t.Fatal(err)
		}
		expression = strings.Replace(expression, "%s", string(data), 1)
	}
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	got, err := browser.Settled(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		d.t.Fatalf("%v\n%s", err, expression)
	}
	return got
}

// until waits for an expression to become true, of a page that is whole: its address
// changes before the rest of it has come.
func (d *desk) until(what, expression string, args ...any) {
	d.t.Helper()
	deadline := time.Now().Add(patience)
	for !eval[bool](d, "document.readyState !== 'loading' && !!("+expression+")", args...) {
		if time.Now().After(deadline) {
			d.t.Fatalf("not in time: %s; the page is at %s:\n%s", what, eval[string](d, "location.href"), eval[string](d, "document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// press clicks the middle of an element, as a mouse does.
func (d *desk) press(selector string) {
	d.t.Helper()
	d.until(selector+" is there", "document.querySelector(%s)?.checkVisibility()", selector)
	at := eval[[]float64](d, "(() => { const e = document.querySelector(%s); e.scrollIntoView({block: 'nearest'}); const r = e.getClientRects()[0]; return [r.x + r.width / 2, r.y + r.height / 2]; })()", selector)
	d.do(chromedp.MouseClickXY(at[0], at[1]))
}

const (
	drawerID  = "document.querySelector('.drawer article')?.dataset.id"
	focusText = "document.activeElement.textContent.trim()"
)

func row(id string) string { return `tr[data-id="` + id + `"]` }

// TestBrowserDrawer: a row opens beside the list, has an address of its own, and
// gives the focus back.
func TestBrowserDrawer(t *testing.T) {
	d := sit(t, 1440, 900)
	ended, denied := d.s["ended"].id, d.s["denied"].id
	d.open("/requests?resource=payments-admins")
	d.press(row(ended) + " .c-why")
	d.until("the drawer is open", drawerID+" === %s", ended)
	d.until("its title has the focus", "document.activeElement.id === 'life-title'")
	if got, want := eval[string](d, "location.search"), "?resource=payments-admins&open="+ended; got != want {
		t.Errorf("the address is %q, want %q", got, want)
	}
	d.until("its row is marked", "document.querySelector(%s).getAttribute('aria-current') === 'true'", row(ended))
	d.press(row(denied) + " .c-who")
	d.until("another takes its place", drawerID+" === %s", denied)
	d.keys(kb.Escape)
	d.until("it is closed", "!document.querySelector('.drawer') && location.search === '?resource=payments-admins'")
	d.until("the row has the focus", "document.activeElement.closest('tr')?.dataset.id === %s", denied)

	d.press(row(ended) + " .c-why")
	d.until("it is open again", drawerID+" === %s", ended)
	d.do(chromedp.Evaluate[chromedp.Void]("history.back()"))
	d.until("the back button closes it", "!document.querySelector('.drawer') && location.pathname === '/requests'")
	d.do(chromedp.Evaluate[chromedp.Void]("history.forward()"))
	d.until("the forward button opens it", drawerID+" === %s", ended)
	d.press(".drawer .close")
	d.until("its button closes it", "!document.querySelector('.drawer')")

	d.open("/requests?resource=payments-admins&open=" + ended)
	d.until("a shared address opens it", drawerID+" === %s && document.activeElement.id === 'life-title'", ended)
	d.keys(kb.Escape)
	d.until("and it closes", "!document.querySelector('.drawer') && location.search === '?resource=payments-admins'")
}

// TestBrowserKeyboard walks through the list without a mouse.
func TestBrowserKeyboard(t *testing.T) {
	d := sit(t, 1440, 900)
	d.open("/requests?resource=payments-admins")
	ids := eval[[]string](d, "[...document.querySelectorAll('tbody tr')].map((e) => e.dataset.id)")
	at := "document.activeElement.closest('tr')?.dataset.id === %s"
	d.keys("j")
	d.until("j goes to the first row", at, ids[0])
	d.keys("j")
	d.until("and to the next", at, ids[1])
	d.keys(kb.ArrowDown)
	d.until("as does the arrow", at, ids[2])
	d.keys("k")
	d.until("k goes back", at, ids[1])
	d.keys(kb.Enter)
	d.until("Enter opens", drawerID+" === %s", ids[1])
	d.keys("j")
	d.until("j opens the next", drawerID+" === %s", ids[2])
	d.until("the focus is there", "document.activeElement.id === 'life-title'")
	d.keys(kb.ArrowUp)
	d.until("the arrow opens the one before", drawerID+" === %s", ids[1])
	d.keys(kb.Escape)
	d.until("Escape closes", "!document.querySelector('.drawer')")
	d.until("at the row", at, ids[1])
	d.keys("?")
	d.until("? helps", "document.querySelector('dialog.help').open")
	d.keys(kb.Escape)
	d.until("Escape closes the help", "!document.querySelector('dialog.help').open")
	d.keys("/")
	d.until("/ searches", "document.activeElement.name === 'q'")
	// This keyboard enters the character though the page has taken the key.
	d.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.select()"))
	d.keys("refund j" + kb.Enter)
	d.until("what is typed is looked for, and nothing else stands in the address", "location.search === '?q=refund+j&resource=payments-admins'")

	d.open("/")
	d.keys(kb.Tab)
	if got := eval[string](d, focusText); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
}

// TestBrowserFilters fills in the form, as people do.
func TestBrowserFilters(t *testing.T) {
	d := sit(t, 1440, 900)
	d.open("/requests")
	d.press(".drop summary")
	d.press("input[value=given_back]")
	d.press("input[value=denied]")
	d.keys(kb.Escape)
	d.until("Escape folds the choice", "!document.querySelector('.drop').open")
	d.press("#f-person")
	d.keys("alice")
	d.press("button.go")
	d.until("the list is filtered", "location.search === '?person=alice&status=given_back&status=denied'")
	if got := eval[[]string](d, "[...document.querySelectorAll('tbody tr')].map((e) => e.dataset.id)"); len(got) != 2 || got[0] != d.s["ended"].id || got[1] != d.s["denied"].id {
		t.Errorf("it shows %v", got)
	}
	d.press(".chips a")
	d.until("a chip takes its filter away", "location.search === '?status=denied&status=given_back' || location.search === '?status=given_back&status=denied'")
}

// TestBrowserZone shows times where the reader is; the exact one stays.
func TestBrowserZone(t *testing.T) {
	d := sit(t, 1440, 900, chromedp.Env("TZ=Asia/Kathmandu"))
	d.open("/requests/" + d.s["ended"].id)
	filed := d.s["ended"].r.FiledAt
	first := "document.querySelector('.facts time')"
	if got, want := eval[string](d, first+".title"), filed.Format("2006-01-02 15:04:05 UTC"); got != want {
		t.Errorf("the exact time is %q, want %q", got, want)
	}
	if got, want := eval[string](d, first+".textContent"), filed.In(time.FixedZone("", 5*3600+45*60)).Format("2 Jan 2006 15:04:05"); got != want {
		t.Errorf("the reader's time is %q, want %q", got, want)
	}
	d.until("the zone is named", "document.querySelector('[data-zone]').textContent.includes('Asia/Kat')")
}

// TestBrowserLive: what is shown changes in place, what is new announces itself,
// and nothing moves.
func TestBrowserLive(t *testing.T) {
	d := sit(t, 1440, 900)
	d.open("/requests?resource=payments-admins")
	d.until("it listens", "document.documentElement.dataset.live === 'on'")
	order := "[...document.querySelectorAll('tbody tr')].map((e) => e.dataset.id).join()"
	before := eval[string](d, order)
	p := d.s["pending"]
	d.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('" + row(p.id) + " a').focus()"))
	p.do(bob, access.Deny{Request: p.id, Reason: "not today"})
	d.web.Changed(p.id)
	d.until("the row changes in place", "document.querySelector(%s)?.innerText.includes('Denied')", row(p.id))
	d.until("the focus stays", "document.activeElement.closest('tr')?.dataset.id === %s", p.id)
	fresh := d.m.tell(t, 40, time.Now().UTC(), alice, access.File{Reason: "quite new"})
	d.web.Changed(fresh.id)
	d.until("the new one announces itself", "document.querySelector('.pill')?.textContent === '1 new request'")
	if after := eval[string](d, order); after != before {
		t.Errorf("rows moved: %s, before %s", after, before)
	}
	d.press(".pill")
	d.until("it comes when it is called", "document.querySelector('tbody tr').dataset.id === %s && !document.querySelector('.pill')", fresh.id)
	d.press(row(fresh.id) + " .c-why")
	d.until("it opens", drawerID+" === %s", fresh.id)
	fresh.do(bob, access.Say{Request: fresh.id, TS: "9", Text: "Which key?"})
	d.web.Changed(fresh.id)
	d.until("what is open follows", "document.querySelector('.drawer').innerText.includes('Which key?')")

	d.open("/")
	d.until("it listens", "document.documentElement.dataset.live === 'on'")
	fresh.do(bob, access.Deny{Request: fresh.id})
	d.web.Changed(fresh.id)
	d.until("what is over fades", "document.querySelector(%s).classList.contains('stale')", row(fresh.id))
	_, waiting, err := d.m.Find(t.Context(), access.Filter{Status: []access.Status{access.Pending}}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	d.until("the figures follow", "document.querySelectorAll('.figures b')[1].textContent === %s", fmt.Sprint(waiting)) // the hour decides how many of the made-up company wait
}

// TestBrowserStandsStill: what did not change but grew older is let alone, and
// what a new request pushes to the next page does not fade.
func TestBrowserStandsStill(t *testing.T) {
	d := sit(t, 1440, 900)
	now := time.Now().UTC()
	var later atomic.Int64
	d.web = serve(t, d.m, everything, now, func(c *web.Config) {
		c.Now = func() time.Time { return now.Add(time.Duration(later.Load())) }
	})
	d.behind(d.web.ServeHTTP)
	d.open("/")
	d.until("it listens", "document.documentElement.dataset.live === 'on'")
	live, p := row(d.s["live"].id), d.s["pending"]
	const bar = "document.querySelector(%s).querySelector('.bar .done').getAttribute('width')"
	d.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('" + live + "').same = true"))
	before := eval[string](d, bar, live)
	later.Store(int64(20 * time.Minute))
	p.do(bob, access.Deny{Request: p.id})
	d.web.Changed(p.id)
	d.until("what is over fades", "document.querySelector(%s).classList.contains('stale')", row(p.id))
	if !eval[bool](d, "document.querySelector(%s).same === true && !document.querySelector('.fresh')", live) {
		t.Error("a row that only grew older is drawn anew")
	}
	if after := eval[string](d, bar, live); after == before {
		t.Errorf("its bar stays at %s", after)
	}

	d.open("/requests")
	d.until("it listens", "document.documentElement.dataset.live === 'on'")
	fresh := d.m.tell(t, 41, now, alice, access.File{Reason: "quite new"})
	d.web.Changed(fresh.id)
	d.until("the new one announces itself", "document.querySelector('.pill')?.textContent === '1 new request'")
	if n := eval[int](d, "document.querySelectorAll('.stale').length"); n != 0 {
		t.Errorf("%d rows fade that are as they were", n)
	}
}

// behind puts something in front of the dashboard.
func (d *desk) behind(front http.HandlerFunc) {
	srv := httptest.NewServer(front)
	d.t.Cleanup(func() { browser.Close(srv) })
	d.base = srv.URL
}

// hide lets the page believe that another one is in front of it, or no longer.
func (d *desk) hide(hidden bool) {
	d.t.Helper()
	eval[bool](d, "(() => { Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); return document.dispatchEvent(new Event('visibilitychange')); })()", hidden)
}

// TestBrowserDeaf: a page that hears nothing says that it may be old, until it
// hears again.
func TestBrowserDeaf(t *testing.T) {
	d := sit(t, 1440, 900)
	var deaf atomic.Bool
	d.behind(func(w http.ResponseWriter, r *http.Request) {
		if deaf.Load() && r.URL.Path == "/changes" {
			<-r.Context().Done()
			return
		}
		d.web.ServeHTTP(w, r)
	})
	deaf.Store(true)
	d.open("/")
	d.until("it says so", "document.querySelector('.deaf')?.checkVisibility()")
	deaf.Store(false)
	d.hide(true)
	d.hide(false)
	d.until("it listens", "document.documentElement.dataset.live === 'on'")
	d.until("it says so no longer", "!document.querySelector('.deaf')")
}

// TestBrowserHidden: a page in the background holds no connection, of which a
// browser has six, and shows what it missed when somebody looks at it again.
func TestBrowserHidden(t *testing.T) {
	d := sit(t, 1440, 900)
	var listening atomic.Int64
	d.behind(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/changes" {
			listening.Add(1)
			defer listening.Add(-1)
		}
		d.web.ServeHTTP(w, r)
	})
	d.open("/")
	d.until("it listens", "document.documentElement.dataset.live === 'on'")
	d.hide(true)
	for deadline := time.Now().Add(patience); listening.Load() != 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a page in the background still listens")
		}
	}
	p := d.s["pending"]
	p.do(bob, access.Deny{Request: p.id})
	d.web.Changed(p.id)
	d.hide(false)
	d.until("it listens again", "document.documentElement.dataset.live === 'on'")
	d.until("what it missed is there", "document.querySelector(%s).classList.contains('stale')", row(p.id))
}

// TestBrowserWithoutScript: every page is whole.
func TestBrowserWithoutScript(t *testing.T) {
	d := sit(t, 1440, 900, chromedp.Flag("blink-settings", "scriptEnabled=false"))
	d.open("/requests?resource=payments-admins")
	d.press(row(d.s["ended"].id) + " .c-why")
	d.until("a row opens", "location.search === %s", "?open="+d.s["ended"].id+"&resource=payments-admins")
	d.press(".drawer .close")
	d.until("and closes", "location.search === '?resource=payments-admins'")
	if text := eval[string](d, "document.querySelector('.foot').innerText"); !strings.Contains(text, "Times are in UTC.") || strings.Contains(text, "Keyboard") {
		t.Errorf("the foot says %q", text)
	}
}

// TestBrowserCopy opens the files of a copy from the disk, days after it was made.
func TestBrowserCopy(t *testing.T) {
	d := sit(t, 1440, 900)
	dir, made := t.TempDir(), time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -2)
	d.m = logOf(60, made.Add(-time.Hour))
	d.s = d.m.stories(t, made)
	c := web.Config{Requests: d.m, Record: d.m, Rules: d.m, Now: func() time.Time { return made }}
	err := web.Site(t.Context(), c, func(name string, data []byte) error {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		return os.WriteFile(name, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	d.do(chromedp.Navigate("file://" + dir + "/index.html"))
	d.until("it has a style", "getComputedStyle(document.querySelector('.top')).position === 'sticky'")
	d.until("and a script", "document.querySelector('[data-zone]').textContent.includes('your zone')")
	if got, want := eval[string](d, "document.querySelector(%s).textContent", row(d.s["live"].id)+" .left"), "1 h 12 m left"; got != want {
		t.Errorf("what was left at the time is %q, want %q", got, want)
	}
	d.press("nav a:nth-child(2)")
	d.until("the list is there", "location.pathname.endsWith('/requests/index.html')")
	d.press(row(d.s["ended"].id) + " .c-why")
	d.until("a request is there", "document.querySelector('article.life')?.dataset.id === %s", d.s["ended"].id)
	d.press(".crumb a")
	d.until("and leads back", "location.pathname.endsWith('/requests/index.html')")
}

// widths are those of a telephone, a tablet and a desk.
var widths = []int64{360, 768, 1600}

// TestBrowserFits: nothing runs out of the window to the side, and all who may
// approve are to be read at every width.
func TestBrowserFits(t *testing.T) {
	d := sit(t, 1440, 900)
	somebody := access.Person{Email: "maximilian-alexander.von-und-zu-hohenstein-am-wasserfall@engineering.emea.example.com", Slack: "U0LONG"}
	long := d.m.tell(t, 50, time.Now().UTC().Add(-time.Hour), somebody, access.File{Reason: strings.Repeat("Anunbrokenword", 20), Ticket: strings.Repeat("T", 150)}).posted().granted(2 * time.Hour)
	long.do(bob, access.Say{Request: long.id, TS: "1", Text: "https://example.com/" + strings.Repeat("long", 80)})
	yesterday := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly) // whatever year the machine has
	d.m.rules.Reviewers = append(d.m.rules.Reviewers, "dom@partner.example", "eva@partner.example")
	for _, width := range widths {
		d.do(chromedp.EmulateViewport(width, 800))
		for _, path := range []string{"/", "/requests", "/requests?status=live&q=payments", "/requests?open=" + long.id, "/requests/" + long.id, "/approvals?span=all", "/asof?at=" + yesterday + "&resource=payments-admins&person=alice", "/nothing"} {
			if path == "/nothing" {
				continue // the browser logs that there is none
			}
			d.open(path)
			for _, x := range eval[[]string](d, `[...document.querySelectorAll('body, body *')].filter((e) => {
			  if (!e.checkVisibility() || e.closest('svg svg, svg *, .hid, .skip, thead, .scroll')) return false;
			  const r = e.getBoundingClientRect();
			  return r.width && r.height && (r.left < -1 || r.right > innerWidth + 1) && !e.closest('.grid td');
			}).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3).concat(document.documentElement.scrollWidth > innerWidth ? ['the page is wider than the window'] : [])`) {
				t.Errorf("%s at %d: %s", path, width, x)
			}
			if eval[bool](d, "[...document.querySelectorAll('.now-pending .c-by')].some((e) => e.scrollWidth > e.clientWidth + 1)") {
				t.Errorf("%s at %d: who may approve is cut off", path, width)
			}
		}
	}
}

// TestBrowserAccessible lets axe-core look for what keeps people out.
func TestBrowserAccessible(t *testing.T) {
	t.Parallel()
	for scheme, flags := range map[string][]chromedp.ExecAllocatorOption{
		"light": nil, "dark": {browser.Dark()},
	} {
		t.Run(scheme, func(t *testing.T) {
			d := sit(t, 1440, 900, flags...)
			axe := browser.AxeCore(t)
			if bg := eval[string](d, "(matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')"); bg != scheme {
				t.Fatalf("the browser prefers %s", bg)
			}
			id, yesterday := d.s["ended"].id, time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
			for _, path := range []string{"/", "/requests?q=stuck&status=given_back", "/requests", "/requests?open=" + id, "/requests/" + id, "/requests/" + d.s["stuck"].id, "/approvals?span=90d", "/asof?at=" + yesterday + "&resource=payments-admins&person=alice", "/requests?q=nothing-at-all"} {
				d.open(path)
				d.do(chromedp.Evaluate[chromedp.Void](axe), chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('details').forEach((e) => { e.open = true; })"))
				type finding struct{ ID, Help, Where string }
				for _, f := range eval[[]finding](d, `axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.filter((v) => ['serious', 'critical', 'moderate'].includes(v.impact))
				  .flatMap((v) => v.nodes.slice(0, 4).map((n) => ({id: v.id, help: v.help, where: n.target.join(' ') + ' ' + n.html.slice(0, 160) + ' ' + n.failureSummary}))))`) {
					t.Errorf("%s: %s (%s): %s", path, f.Help, f.ID, f.Where)
				}
			}
		})
	}
}
