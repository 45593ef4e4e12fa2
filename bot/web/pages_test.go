package web_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/web"

	"github.com/google/go-cmp/cmp"
)

var end = time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)

// has fails where a page lacks one of the texts.
func has(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, x := range texts {
		if !strings.Contains(page, x) {
			t.Errorf("the page lacks %q", x)
		}
	}
}

// lacks fails where a page has one of the texts.
func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, x := range texts {
		if i := strings.Index(page, x); i >= 0 {
			t.Errorf("the page has %q: …%s…", x, page[max(0, i-80):min(len(page), i+80)])
		}
	}
}

func TestNow(t *testing.T) {
	m := logOf(0, end)
	s := m.stories(t, end)
	code, page, _ := get(t, serve(t, m, everything, end), "/")
	if code != http.StatusOK {
		t.Fatal(code, page)
	}
	has(t, page, "<b>3</b> live", "<b>1</b> pending", "<b>4</b> asked in the last 24 hours, <b>3</b> of them decided",
		"Cannot be taken away", "Resource not accessible by integration", "Glass was broken, and nobody has reviewed it",
		"Rotate the signing key before the audit", "25 m", `title="bob@example.com">bob<span>@example.com`, "1 h 12 m left", "Approved by")
	if at, then := strings.Index(page, "Needs attention"), strings.Index(page, "Waiting for approval"); at < 0 || at > then {
		t.Error("what fails does not stand above all else")
	}
	lacks(t, page, s["ended"].id, s["denied"].id, "Nothing fails")
	m = logOf(0, end)
	m.stories(t, end)["stuck"].do(nobody, access.Finish{Request: "x"})
	if _, page, _ := get(t, serve(t, m, everything, end), "/"); strings.Contains(page, "Cannot be taken away") {
		t.Error("what has ended still fails")
	}
}

func TestNowNamesWhoMayApprove(t *testing.T) {
	m := logOf(0, end)
	m.tell(t, 1, end.Add(-time.Hour), bob, access.File{Reason: "my own"})
	_, page, _ := get(t, serve(t, m, everything, end), "/")
	_, row, _ := strings.Cut(page, `<td role="cell" class="c-by">`)
	row, _, _ = strings.Cut(row, "</td>")
	has(t, row, "carol")
	lacks(t, row, `title="bob@`)
}

func TestEmpty(t *testing.T) {
	m := logOf(0, end)
	for path, want := range map[string]string{
		"/":                   "/access request",
		"/requests":           "/access request",
		"/requests?q=nothing": "Nothing matches",
		"/approvals":          "Nothing was asked for in the last 30 days",
		"/asof":               "countersign asof",
	} {
		code, page, _ := get(t, serve(t, m, everything, end), path)
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		has(t, page, want)
	}
}

// rowsOf are the ids of the rows, in their order.
func rowsOf(page string) []string {
	var out []string
	for _, part := range strings.Split(page, `<tr data-id="`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		out = append(out, id)
	}
	return out
}

func TestFilters(t *testing.T) {
	m := logOf(300, end)
	stories := m.stories(t, end)
	m.tell(t, 60, end.Add(-time.Hour), access.Person{Email: "al@example.com", Slack: "U0ALICIA"}, access.File{Reason: "by her other account"})
	h := serve(t, m, everything, end)
	all := m.matching(access.Filter{})
	some := all[len(all)/2]
	for _, c := range []struct {
		query string
		f     access.Filter
	}{
		{"", access.Filter{}},
		{"q=refund+BATCH", access.Filter{Text: "refund batch"}},
		{"person=alice@example.com", access.Filter{Person: []string{"alice@example.com", "al@example.com"}}},
		{"person=AL@example.com", access.Filter{Person: []string{"alice@example.com", "al@example.com"}}},
		{"person=Alice", access.Filter{Person: []string{"alice@example.com", "al@example.com"}}},
		{"person=U0ERIN", access.Filter{Person: []string{"U0ERIN"}}},
		{"person=ALICE%2Bx@example.com", access.Filter{Person: []string{"alice@example.com", "al@example.com"}}},
		{"resource=payments-admins", access.Filter{Resource: "payments-admins"}},
		{"provider=" + some.Target.Provider, access.Filter{Provider: some.Target.Provider}},
		{"status=denied&status=failed", access.Filter{Status: []access.Status{access.Denied, access.Failed}}},
		{"source=break_glass", access.Filter{Source: access.ByBreakGlass}},
		{"policy=reviewers+decide", access.Filter{Policy: "reviewers decide"}},
		{"from=2026-11-01&to=2026-11-10", access.Filter{From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)}},
		{"status=&q=&unknown=1&resource=payments-admins&status=denied", access.Filter{Resource: "payments-admins", Status: []access.Status{access.Denied}}},
	} {
		want := []string{}
		for _, r := range m.matching(c.f) {
			want = append(want, r.ID)
		}
		if len(want) == 0 {
			t.Errorf("%s: the test is about nothing", c.query)
		}
		slices.Reverse(want)
		var got []string
		path := "/requests?" + c.query
		for path != "" {
			code, page, _ := get(t, h, path)
			if code != http.StatusOK {
				t.Fatalf("%s: %d", path, code)
			}
			has(t, page, "<b data-total>"+strconv.Itoa(len(want))+"</b>")
			got = append(got, rowsOf(page)...)
			path = next(page)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.query, diff)
		}
	}
	_, page, _ := get(t, h, "/requests?q=stuck&status=given_back&status=denied&person=alice")
	has(t, page, `href="/requests?person=alice&amp;q=stuck&amp;status=given_back"`, `href="/requests?person=alice&amp;status=given_back&amp;status=denied"`,
		`value="given_back" checked`, `href="/requests.tsv?person=alice&amp;q=stuck&amp;status=given_back&amp;status=denied"`, stories["ended"].id)
}

// next is the address of the next page.
func next(page string) string {
	_, rest, ok := strings.Cut(page, `rel="next" href="`)
	if !ok {
		return ""
	}
	path, _, _ := strings.Cut(rest, `"`)
	return strings.ReplaceAll(path, "&amp;", "&")
}

func TestBadParameters(t *testing.T) {
	m := logOf(20, end)
	h := serve(t, m, everything, end)
	for path, want := range map[string]int{
		"/requests?status=gone":                                  http.StatusBadRequest,
		"/requests?source=nobody":                                http.StatusBadRequest,
		"/requests?from=yesterday":                               http.StatusBadRequest,
		"/requests?from=2026-11-02&to=2026-11-01":                http.StatusBadRequest,
		"/requests?to=99999-01-01":                               http.StatusBadRequest,
		"/requests?q=" + strings.Repeat("x", 201):                http.StatusBadRequest,
		"/requests?q=%ff":                                        http.StatusBadRequest,
		"/requests?q=%zz":                                        http.StatusBadRequest,
		"/requests?q=" + strings.Repeat("x", 5000):               http.StatusBadRequest,
		"/requests?after=" + url.QueryEscape("' or 1"):           http.StatusNotFound,
		"/requests?open=nosuch":                                  http.StatusNotFound,
		"/requests/nosuch":                                       http.StatusNotFound,
		"/requests/" + strings.Repeat("a", 80):                   http.StatusNotFound,
		"/requests/..%2f..%2fetc":                                http.StatusNotFound,
		"/nothing":                                               http.StatusNotFound,
		"/static/app.css":                                        http.StatusNotFound,
		"/approvals?span=ever":                                   http.StatusBadRequest,
		"/asof?at=now":                                           http.StatusBadRequest,
		"/asof?at=2030-01-01T00:00":                              http.StatusBadRequest,
		"/asof?at=2026-11-22&person=" + strings.Repeat("x", 201): http.StatusBadRequest,
		"/requests.tsv?status=gone":                              http.StatusBadRequest,
	} {
		code, page, header := get(t, h, path)
		if code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
		if !strings.Contains(page, `<section class="problem">`) || header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s is not answered by a page: %s", path, page)
		}
	}
}

func TestRequestPage(t *testing.T) {
	m := logOf(0, end)
	s := m.stories(t, end)["ended"]
	h := serve(t, m, everything, end)
	_, page, _ := get(t, h, "/requests/"+s.id)
	has(t, page, "Given back", "on behalf of", "INC-4711", "2026-11-22 08:30:00 UTC",
		`href="https://acme.slack.com/archives/C0ACCESS/p1763876410000300"`,
		`<b class="mention">@alice@example.com</b>`, `<a href="https://runbooks.example.com/refunds" rel="noopener noreferrer"`,
		"<del dir=\"auto\">2290</del>", "<del>wrong thread</del>", "1 earlier text",
		"Was refused: approve", "You are not among those who may approve", "push rejected: the branch is protected", "Extended by a reviewer",
		"Posted the approval message", "git show ", "https://git.example.com/acme/access/commit/", "https://git.example.com/acme/config/commit/4f1c0ffee4f1c",
		"unknown key", "bad signature", "not signed", ">signed</span>", "evaluator 1", "0001-requested.yaml")
	if got, want := strings.Count(page, `<li class="step`), len(s.log); got != want {
		t.Errorf("%d events are shown of %d", got, want)
	}
	for _, e := range m.entries[s.id] {
		has(t, page, e.Commit, e.Path)
	}
	for _, e := range s.log {
		has(t, page, `datetime="`+e.At.Format(time.RFC3339)+`"`)
	}
	_, drawer, _ := get(t, h, "/requests?resource=payments-admins&open="+s.id)
	_, article, _ := strings.Cut(page, "<article")
	article, _, _ = strings.Cut(article, "</article>")
	has(t, drawer, article, `class="button icon close" href="/requests?resource=payments-admins"`)
}

func TestEveryEventIsTold(t *testing.T) {
	m := logOf(0, end)
	m.stories(t, end)
	r := m.list[0]
	at := r.Last
	bodies := []access.Body{
		access.Vote{For: time.Hour}, access.Cancellation{}, access.Timeout{}, access.Escalation{Calls: []access.Call{{Integration: "pagerduty", Services: []string{"PSVC"}}}},
		access.Reminded{}, access.ReviewDue{}, access.Reviewed{Text: "fine"}, access.GrantFailed{Error: "no account", Final: true},
		access.RevokeIntent{Cause: access.CauseRevoked}, access.RevokeFailed{Error: "503"}, access.Ended{Cause: access.CauseRevoked, Kept: "had_before"},
		access.ExtensionDenied{Reason: "enough"}, access.Notified{Post: access.Post{Notice: "extension-2"}},
	}
	var entries []web.Entry
	for i, b := range bodies {
		entries = append(entries, web.Entry{Path: "p", Commit: "a" + strconv.Itoa(i), Event: access.Event{At: at, Body: b, Late: true, Unreached: []string{"github:acme/dba"},
			Groups: map[string][]access.Person{"slack:ops": {bob}}, Duties: map[string][]access.Duty{"pagerduty": {{Person: carol, Level: 2}}}}})
	}
	m.entries[r.ID] = entries
	_, page, _ := get(t, serve(t, m, everything, end), "/requests/"+r.ID)
	has(t, page, "Voted for it; more approvals are needed", "Cancelled by the requestor", "Timed out: nobody decided", "people on call are paged", "PSVC",
		"Reminded the approvers", "A review is due", "Reviewed", "Giving it failed for good", "Revoked: asks the provider", "Taking it away failed",
		"the person had it before", "The extension was denied", "Told of the extension", "recorded later", "github:acme/dba", "members of slack:ops",
		"carol@partner.example (level 2)")
}

// TestMarks: what Slack marks in a text is read as in Slack, also where it is only
// glanced at.
func TestMarks(t *testing.T) {
	m := logOf(0, end)
	s := m.tell(t, 1, end.Add(-time.Hour), alice, access.File{
		Reason: "ask <@U0BOB|bob> in <#C0GENERAL|general>, <!here>, <!subteam^S1|@sre>, see <https://x.example/a|the doc> & <b>",
	}).do(nobody, access.Notify{Request: fmt.Sprintf("01KTALE%019d", 1), Post: access.Post{Notice: "approve", To: bob, Channel: "D0BOB", TS: "1.000100"}})
	server := serve(t, m, everything, end)
	for _, path := range []string{"/", "/requests"} {
		_, page, _ := get(t, server, path)
		has(t, page, "<bdi>ask @bob in #general, @here, @sre, see the doc &amp; &lt;b&gt;</bdi>")
	}
	_, page, _ := get(t, server, "/requests/"+s.id)
	_, reason, _ := strings.Cut(page, `class="reason">`)
	reason, _, _ = strings.Cut(reason, "</dd>")
	has(t, reason, `<b class="mention">@bob</b>`, `<b class="mention">@here</b>`, `<b class="mention">@sre</b>`, `href="https://x.example/a"`, "&amp; &lt;b&gt;")
	has(t, page, "Asked for a decision")
	lacks(t, page, "Posted a notice")
}

// TestUntil: what ended at its expiry ended when it was to end.
func TestUntil(t *testing.T) {
	m := logOf(0, end)
	s := m.tell(t, 1, end.Add(-3*time.Hour), alice, access.File{}).granted(time.Hour)
	s.now = s.r.Expires()
	s.do(nobody, access.Expire{Request: s.id}, access.Finish{Request: s.id})
	_, page, _ := get(t, serve(t, m, everything, end), "/requests/"+s.id)
	has(t, page, "<dt>Until</dt>")
	lacks(t, page, "Would have ended")
	_, page, _ = get(t, serve(t, m, everything, end), "/requests/"+m.stories(t, end)["ended"].id)
	has(t, page, "Would have ended")
}

func TestApprovals(t *testing.T) {
	m := logOf(400, end)
	m.stories(t, end)
	h := serve(t, m, everything, end)
	for _, span := range []string{"", "30d", "90d", "1y", "all"} {
		code, page, _ := get(t, h, "/approvals?span="+span)
		if code != http.StatusOK {
			t.Fatal(span, code)
		}
		has(t, page, "Requests by what became of them", "<summary>The numbers</summary>", "Who decided", "median", "Live access by resource", "outlived its expiry")
	}
	_, all, _ := get(t, h, "/approvals?span=all")
	first := m.list[0].FiledAt
	has(t, all, "<span>"+first.Format("Jan 2006")+"</span>", "<title>"+first.Format("2 Jan 2006")+" to ")
	young := logOf(0, end)
	young.stories(t, end)
	_, page, _ := get(t, serve(t, young, everything, end), "/approvals?span=all")
	has(t, page, `viewBox="0 0 358 160"`) // a fortnight, though it is three days old
	f := access.Filter{From: time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)}
	_, page, _ = get(t, h, "/approvals")
	has(t, page, strconv.Itoa(len(m.matching(f)))+" in the last 30 days")
	want := access.Count(m.matching(f), end)
	for _, d := range want.Days {
		sum := 0
		for _, n := range d.Fates {
			sum += n
		}
		has(t, page, `<tr><th scope="row">`+d.Date.Format(time.DateOnly)+`</th>`, `<td>`+strconv.Itoa(sum)+`</td></tr>`)
	}
}

func TestAsOf(t *testing.T) {
	m := logOf(0, end)
	s := m.stories(t, end)
	h := serve(t, m, everything, end)
	granted := s["ended"].r.Grant.GrantedAt
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"at=" + url.QueryEscape(granted.Format(time.RFC3339)), []string{s["ended"].id}},
		{"at=" + url.QueryEscape(granted.Add(-time.Second).Format("2006-01-02 15:04:05 UTC")), nil},
		{"at=" + url.QueryEscape(s["ended"].r.End.At.Format(time.RFC3339)), nil},
		{"at=" + url.QueryEscape(end.Add(-5*time.Minute).Format("2006-01-02T15:04")), []string{s["stuck"].id, s["glass"].id, s["live"].id}},
		{"person=erin&at=" + url.QueryEscape(end.Add(-5*time.Minute).Format("2006-01-02T15:04")), []string{s["glass"].id, s["live"].id}},
		{"resource=other&at=2026-11-23", nil},
	} {
		code, page, _ := get(t, h, "/asof?"+c.query)
		got, want := rowsOf(page), slices.Clone(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if code != http.StatusOK || !slices.Equal(got, want) {
			t.Errorf("%s: %d %v, want %v", c.query, code, got, want)
		}
	}
	_, page, _ := get(t, h, "/asof?at=2026-11-22T12:00&resource=payments-admins&person=alice")
	has(t, page, "Who could have approved", "bob", "carol", "reviewers decide", "is disabled", "4f1c0ffee4", "With approval")
	_, page, _ = get(t, h, "/asof?at=2019-11-22&resource=payments-admins&person=alice")
	has(t, page, "Which configuration was in force then is not known")
	_, page, _ = get(t, h, "/asof?at=2026-11-22&resource=gone&person=alice")
	has(t, page, "there was no such resource")
	const asked, today = "/asof?at=2026-11-22T12:00&resource=payments-admins&person=alice", "as it is known today"
	for _, c := range []struct {
		rely        func(*access.Policy) // on what the rules do not say
		says, lacks string
	}{
		{func(*access.Policy) {}, "With approval", today},
		{func(p *access.Policy) {
			p.Approval = append(p.Approval, access.Way{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"PX"}})
		}, "Who was on call then is not known", today},
		{func(p *access.Policy) {
			p.Approval = append(p.Approval, access.Way{Type: "group", Groups: []string{"dba"}, Count: 1})
		}, today, "Who was on call"},
	} {
		m.rules = rulesFor(m.list)
		m.rules.Groups = append(m.rules.Groups, access.Group{Name: "dba", GitHubTeam: "acme/dba"})
		c.rely(&m.rules.Policies[0])
		_, page, _ = get(t, h, asked)
		has(t, page, c.says)
		lacks(t, page, c.lacks)
	}
}

// TestBroken: what cannot be read is said so, and its cause is for the operator.
func TestBroken(t *testing.T) {
	m := logOf(0, end)
	s := m.stories(t, end)
	m.broken = errors.New("the disk at /secret/path is gone")
	h := serve(t, m, everything, end)
	for _, path := range []string{"/", "/requests", "/requests?open=" + s["ended"].id, "/requests/" + s["ended"].id, "/approvals", "/asof?at=2026-11-22"} {
		code, page, _ := get(t, h, path)
		if code != http.StatusInternalServerError {
			t.Errorf("%s: %d", path, code)
		}
		has(t, page, "This cannot be read right now")
		lacks(t, page, "/secret/path")
	}
	m.broken = nil
	list := &breaking{memory: m}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("a table that is not whole ends as if it were")
		}
	}()
	h = serve(t, m, everything, end, func(c *web.Config) { c.Requests = list })
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/requests.tsv", nil))
}

// elements are the names of all elements of a page, read by a parser that is not
// the one that wrote it.
func elements(t *testing.T, page string) (names []string, texts string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var b strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return names, b.String()
		}
		if err != nil {
			t.Fatalf("the page cannot be parsed: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			names = append(names, x.Name.Local)
			for _, a := range x.Attr {
				if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || a.Name.Local == "style" {
					t.Errorf("%s has %s=%q", x.Name.Local, a.Name.Local, a.Value)
				}
				if a.Name.Local == "href" && strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Value)), "javascript:") {
					t.Errorf("a link leads to %q", a.Value)
				}
			}
		case xml.CharData:
			b.Write(x)
		}
	}
}

// kinds are the different ones among names; what shows links and mentions is one
// of them anyway.
func kinds(names []string) []string {
	out := append([]string{"a", "b"}, names...)
	slices.Sort(out)
	return slices.Compact(out)
}

// hostile is what people might write to do more than to be read.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title><svg onload=alert(1)>`, `' onmouseover='alert(1)`,
	"\u202egnp.exe", "\u2066hidden\u2069", "javascript:alert(1)", `<javascript:alert(1)|click>`, `<https://evil.example/"onclick="x|me>`,
	`{{.}}`, "a\x00b\x1bc", `&lt;script&gt;`, `<@U0ALICE|<b>x>`, "https://evil.example/<script>", "]]>", "<!-- ", "\u0645\u0631\u062d\u0628\u0627",
}

func TestHostileTexts(t *testing.T) {
	tame, wild := logOf(0, end), logOf(0, end)
	build := func(m *memory, text func(int) string) string {
		for i := range hostile {
			r := access.Request{ID: "01KTALE" + strconv.Itoa(100+i), Seq: 1, Status: access.Live, Requestor: access.Person{Email: text(i) + "@example.com"}, Principal: erin,
				Resource: "r" + text(i), Title: text(i), Target: access.Target{Provider: text(i), With: map[string]any{text(i): text(i)}}, Reason: text(i), Ticket: text(i),
				FiledAt: end.Add(-time.Hour), FiledUnder: text(i), Grant: &access.Grant{Subject: text(i), GrantedAt: end.Add(-time.Hour)},
				Decision: &access.Decision{At: end, Source: access.ByReviewer, Approvers: []access.Person{{Email: text(i)}}, Policies: []string{text(i)}, Reason: text(i), Config: text(i), Expires: end.Add(time.Hour)},
				Failure:  &access.Failure{At: end, Since: end, Error: text(i)},
				Messages: []access.Message{{TS: "1", By: access.Person{Email: text(i)}, Text: text(i), At: end, Edits: []access.Edit{{Text: text(i), At: end}}}},
				Posts:    []access.Post{{Notice: access.NoticeApproval, Channel: "C", TS: "1", Permalink: "javascript:alert(1)//" + text(i)}},
			}
			m.put(r, []access.Event{
				{At: end, By: access.Person{Email: text(i)}, Config: "a" + text(i), Body: access.MessagePosted{Text: text(i)}},
				{At: end, Body: access.RefusedTry{Action: text(i), Code: access.Code(text(i)), Text: text(i)}},
			})
		}
		return m.list[0].ID
	}
	build(tame, func(int) string { return "tame" })
	build(wild, func(i int) string { return hostile[i] })
	paths := []string{"/", "/requests", "/approvals", "/asof?at=2026-11-23T14:00", "/requests?q=%3Cscript%3E%22%3E%E2%80%AE"}
	for i := range hostile {
		paths = append(paths, "/requests/01KTALE"+strconv.Itoa(100+i))
	}
	unlink := func(c *web.Config) { c.CommitURL, c.ConfigURL = nil, nil }
	for _, path := range paths {
		code, page, _ := get(t, serve(t, wild, everything, end, unlink), path)
		if code != http.StatusOK {
			t.Fatal(path, code, page)
		}
		names, text := elements(t, page)
		if n := strings.Count(strings.Join(names, " "), "script"); n != 1 {
			t.Errorf("%s has %d scripts", path, n)
		}
		if slices.Contains(names, "img") {
			t.Errorf("%s has a picture that somebody wrote", path)
		}
		for _, c := range text {
			if access.Bidi(c) || c < ' ' && c != '\n' && c != '\t' {
				t.Errorf("%s has the character %U", path, c)
			}
		}
		_, plain, _ := get(t, serve(t, tame, everything, end, unlink), path)
		want, _ := elements(t, plain)
		if diff := cmp.Diff(kinds(want), kinds(names)); diff != "" {
			t.Errorf("%s has other elements by what people wrote: %s", path, diff)
		}
	}
	_, page, _ := get(t, serve(t, wild, everything, end), "/requests/01KTALE100")
	_, text := elements(t, page)
	has(t, text, hostile[0])
	lacks(t, page, `href="javascript`)
}

// TestLinks: what is not of the web is not linked, whoever says so.
func TestLinks(t *testing.T) {
	m := logOf(0, end)
	id := m.stories(t, end)["ended"].id
	for _, address := range []string{"javascript:alert(1)//", "data:text/html,", "//evil.example/", "/relative/", "ftp://x.example/"} {
		h := serve(t, m, everything, end, func(c *web.Config) {
			c.CommitURL = func(id string) string { return address + id }
			c.ConfigURL = c.CommitURL
		})
		_, page, _ := get(t, h, "/requests/"+id)
		lacks(t, page, `href="`+address)
	}
}
