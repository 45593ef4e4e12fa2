package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/bottest/browser"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A window is one person's view of the page.
type window struct {
	t    *testing.T
	ctx  context.Context
	name string

	ended   chan struct{} // closed when the console has said the last word
	mu      sync.Mutex
	trouble []string // guarded by mu; what the browser complained about
}

// lastWord is written to the console at the end, so that all before it is heard.
const lastWord = "the window closes"

// open opens the page for a person, at a place such as "c/C0ACCESS" or "home",
// in a window of its own. Whatever the browser complains about fails the test.
func (s *stage) open(as, place string, width, height int64) *window {
	s.t.Helper()
	ctx, closeWindow := chromedp.NewContext(s.browser, chromedp.WithNewBrowserContext())
	w := &window{t: s.t, ctx: ctx, name: as, ended: make(chan struct{})}
	s.t.Cleanup(func() { w.report(closeWindow) })
	// The first call has no deadline: the tab lives as long as its context.
	if err := chromedp.Do(ctx); err != nil {
		s.t.Fatal(err)
	}
	w.watch()
	w.do(chromedp.EmulateViewport(width, height))
	w.do(chromedp.Navigate(s.base + "/#/" + as + "/" + place))
	w.sees("#head", "")
	return w
}

// desk opens the approval channel in a window of the usual size.
func (s *stage) desk(as string) *window {
	s.t.Helper()
	w := s.open(as, "c/"+accessChannel, 1280, 860)
	w.sees(composer, "")
	return w
}

// watch gathers errors of scripts, refused resources, failed requests, breaches
// of the content security policy and native dialogs.
func (w *window) watch() {
	messages := chromedp.Console(w.ctx)
	go func() {
		defer close(w.ended)
		for m, err := range messages {
			if err != nil || m.Text == lastWord {
				return
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" || m.Type == "assert" {
				w.complain(fmt.Sprintf("%s: %s %s", m.Type, m.Text, m.URL))
			}
		}
	}()
	err := chromedp.Listen(w.ctx, func(ev any) {
		if name := fmt.Sprintf("%T", ev); strings.Contains(name, "JavascriptDialogOpening") {
			w.complain("a native dialog opened")
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *window) complain(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = append(w.trouble, text)
}

// report ends the window; a failed test leaves a picture of it.
func (w *window) report(closeWindow func()) {
	if w.t.Failed() {
		path := filepath.Join(w.t.ArtifactDir(), w.name+".png")
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
		defer cancel()
		if png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil && os.WriteFile(path, png, 0o600) == nil {
			w.t.Logf("%s saw (kept with -artifacts): %s", w.name, path)
		}
	}
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void]("console.info("+strconv.Quote(lastWord)+")")); err != nil {
		w.t.Errorf("the window of %s does not answer at the end: %v", w.name, err)
	}
	select {
	case <-w.ended:
	case <-ctx.Done():
		w.t.Errorf("the console of %s does not end", w.name)
	}
	closeWindow()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range w.trouble {
		w.t.Errorf("the browser of %s complains: %s", w.name, text)
	}
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.t.Fatalf("the window of %s: %v", w.name, err)
	}
}

// script calls a function of JavaScript in the page, in the next one where the page
// goes away meanwhile.
func script[T any](w *window, function string, args ...any) T {
	w.t.Helper()
	if args == nil {
		args = []any{}
	}
	data, err := json.Marshal(args)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	got, err := browser.Settled(ctx, chromedp.Evaluate[T](fmt.Sprintf("(%s)(...%s)", function, data), chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("the window of %s: %v\n%s", w.name, err, function)
	}
	return got
}

// visible finds the elements of a selector that show, and of these the ones
// whose text has all the words that are wanted.
const visible = `(selector, words) => [...document.querySelectorAll(selector)].filter((e) =>
  e.checkVisibility({visibilityProperty: true, opacityProperty: false}) && (words || []).every((word) => (e.innerText || e.value || '').includes(word)))`

// count is how many elements show that have these texts.
func (w *window) count(selector string, words ...string) int {
	w.t.Helper()
	return script[int](w, "(s, words) => ("+visible+")(s, words).length", selector, words)
}

// sees waits until an element shows that has all these texts.
func (w *window) sees(selector string, words ...string) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%s sees %s with %q", w.name, selector, words), func() error {
		if w.count(selector, words...) > 0 {
			return nil
		}
		return fmt.Errorf("there is %q\nand the page is:\n%s", w.texts(selector), w.page())
	})
}

// misses waits until no element shows that has all these texts.
func (w *window) misses(selector string, words ...string) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%s no longer sees %s with %q", w.name, selector, words), func() error {
		if w.count(selector, words...) == 0 {
			return nil
		}
		return fmt.Errorf("there is %q", w.texts(selector))
	})
}

// texts are those of the elements that show.
func (w *window) texts(selector string) []string {
	w.t.Helper()
	return script[[]string](w, "(s) => ("+visible+")(s, []).map((e) => e.innerText || e.value || '')", selector)
}

func (w *window) page() string {
	w.t.Helper()
	return script[string](w, "() => document.body.innerText")
}

// point is where an element can be pressed, or why it cannot: it must show, hold
// still, and lie on top at its middle.
type point struct {
	X, Y float64
	Why  string
}

const pressable = `async (selector, words) => {
  const found = (` + visible + `)(selector, words);
  if (!found.length) return {why: 'it does not show'};
  const e = found[0];
  e.scrollIntoView({block: 'nearest', inline: 'nearest'});
  const before = e.getBoundingClientRect();
  await new Promise((done) => setTimeout(done, 30));
  const at = e.getBoundingClientRect();
  if (!e.isConnected || before.x !== at.x || before.y !== at.y) return {why: 'it moves'};
  if (e.matches(':disabled, [aria-busy=true]')) return {why: 'it is busy or disabled'};
  const x = at.x + at.width / 2, y = at.y + at.height / 2;
  const top = document.elementFromPoint(x, y);
  if (!top || !e.contains(top)) return {why: 'something covers it: ' + (top ? top.outerHTML.slice(0, 200) : 'the edge of the window')};
  window.clicked = false;
  window.clicks?.abort();
  window.clicks = new AbortController();
  addEventListener('click', (event) => { window.clicked = e.contains(event.target) || !!event.target.closest?.(selector); }, {capture: true, signal: window.clicks.signal});
  return {x, y, why: ''};
}`

// click presses the mouse on the first element that shows and has these texts,
// and again if the element had moved away before the press arrived. One that the
// page drew anew in between is the same to a person.
func (w *window) click(selector string, words ...string) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%s presses %s with %q", w.name, selector, words), func() error {
		at := script[point](w, pressable, selector, words)
		if at.Why != "" {
			return fmt.Errorf("%s; the page is:\n%s", at.Why, w.page())
		}
		w.do(chromedp.MouseClickXY(at.X, at.Y))
		if !script[bool](w, "() => window.clicked") {
			return errors.New("the press went beside it")
		}
		return nil
	})
}

// hover puts the mouse over an element, which shows what hides till then.
func (w *window) hover(selector string, words ...string) {
	w.t.Helper()
	w.sees(selector, words...)
	at := script[point](w, pressable, selector, words)
	w.do(chromedp.MouseEvent(chromedp.MouseMoved, at.X, at.Y))
}

// keys types on the keyboard: text, or keys of the package kb. As on a real
// keyboard, a key whose press the page has taken for itself enters no character.
func (w *window) keys(keys string) {
	w.t.Helper()
	for _, key := range keys {
		events := kb.Encode(key)
		down, up := events[0], events[len(events)-1]
		if len(events) == 3 {
			down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
		}
		// Escape is a press and a release without a character; both are replaced.
		w.do(chromedp.KeyEvent(kb.Escape, oneAfterAnother(*down, *up)))
	}
}

// paste puts a text where the cursor is.
func (w *window) paste(text string) {
	w.t.Helper()
	if !script[bool](w, "(text) => document.execCommand('insertText', false, text)", text) {
		w.t.Fatalf("%s cannot paste here", w.name)
	}
}

// oneAfterAnother puts the given values in place of those it is called with.
func oneAfterAnother[T any](values ...T) func(*T) {
	return func(p *T) { *p, values = values[0], values[1:] }
}

// enter clicks into a field and replaces what stands there.
func (w *window) enter(selector, text string) {
	w.t.Helper()
	w.click(selector)
	until(w.t, "the field has the focus", func() error {
		if script[bool](w, "(s) => { const e = document.activeElement; if (!e.matches(s)) return false; e.select(); return true; }", selector) {
			return nil
		}
		return fmt.Errorf("%s has it", script[string](w, "() => document.activeElement.outerHTML.slice(0, 200)"))
	})
	w.keys(text)
}

// choose opens a select and takes one of its options.
func (w *window) choose(selector, value string) {
	w.t.Helper()
	w.click(selector)
	w.click(`[role=listbox] [data-testid="option-` + value + `"]`)
}
