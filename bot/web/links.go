package web

import (
	"net/url"
	"strconv"
)

// links are where the pages stand: paths of a server, or files that name each
// other relatively.
type links struct {
	root   string // "/" of a server; "./" or "../" of a file
	static bool
}

// A link is an address with a text.
type link struct {
	Text, Href string
	Here       bool
}

func (l links) now() string {
	if l.static {
		return l.root + "index.html"
	}
	return l.root
}

// list is the address of a page of the list. Files have no query: their pages
// are numbered by listPage.
func (l links) list(q url.Values) string {
	switch {
	case l.static:
		return l.listPage(1)
	case len(q) == 0:
		return l.root + "requests"
	}
	return l.root + "requests?" + q.Encode()
}

func (l links) listPage(n int) string {
	if n == 1 {
		return l.root + "requests/index.html"
	}
	return l.root + "requests/page-" + strconv.Itoa(n) + ".html"
}

func (l links) request(id string) string {
	if l.static {
		return l.root + "requests/" + url.PathEscape(id) + ".html"
	}
	return l.root + "requests/" + url.PathEscape(id)
}

func (l links) export(q url.Values) string {
	if l.static || len(q) == 0 {
		return l.root + "requests.tsv"
	}
	return l.root + "requests.tsv?" + q.Encode()
}

func (l links) approvals(span string) string {
	switch {
	case l.static && (span == "" || span == defaultSpan):
		return l.root + "approvals.html"
	case l.static:
		return l.root + "approvals-" + span + ".html"
	case span == "":
		return l.root + "approvals"
	}
	return l.root + "approvals?span=" + span
}

func (l links) asof(q url.Values) string {
	switch {
	case l.static:
		return ""
	case len(q) == 0:
		return l.root + "asof"
	}
	return l.root + "asof?" + q.Encode()
}

func (l links) asset(name string) string { return l.root + "static/" + name }

// nav are the pages that stand at the top of each.
func (l links) nav(here string) []link {
	all := []link{
		{"Now", l.now(), here == "now"},
		{"Requests", l.list(nil), here == "list" || here == "request"},
		{"Approvals", l.approvals(""), here == "approvals"},
	}
	if !l.static {
		all = append(all, link{"Time travel", l.asof(nil), here == "asof"})
	}
	return all
}

// outward is an address elsewhere, if it is one that may be linked: of the web,
// and absolute. It is empty otherwise.
func outward(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// commitURL asks one of the functions of [Config].
func commitURL(of func(string) string, commit string) string {
	if of == nil || commit == "" {
		return ""
	}
	return outward(of(commit))
}
