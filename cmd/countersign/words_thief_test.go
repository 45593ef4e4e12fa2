package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
)

// serveThief answers below /thief/ for somebody who wants what the bot has, and at
// /moved with a redirect to there.
func (p *places) serveThief(mux *http.ServeMux) {
	mux.HandleFunc("/thief/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		user, password, _ := r.BasicAuth()
		p.thief.add("%s %s %s %s %q\n%s", r.Method, r.URL, user, password, r.Header, body)
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, `{"changed":true,"present_before":false}`, http.StatusUnauthorized)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/thief/moved", http.StatusTemporaryRedirect)
	})
}

// thief looks among the requests that have come to the thief.
func thief(s *story, args []string) error {
	re, err := pattern(args)
	if err != nil {
		return err
	}
	found := func() bool { return slices.ContainsFunc(s.thief.told(), re.MatchString) }
	if s.neg && found() || !s.neg && !wait(found) {
		return fmt.Errorf("the thief has got %q", s.thief.told())
	}
	return nil
}
