package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// start begins a sign-in: it remembers it in the browser and sends that to the
// issuer.
func (g *Gate) start(w http.ResponseWriter, r *http.Request) {
	to := local(r.URL.Query().Get("to"))
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default: // another site may link to the page, but begins no sign-in
		g.redirect(w, SignInPath+"?"+url.Values{"to": {to}}.Encode())
		return
	}
	f := flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: to}
	there, err := g.oidc.begin(r.Context(), f)
	if err != nil {
		g.refused(w, r, g.oidc.away(err))
		return
	}
	if err := g.openFlow(w, f); err != nil {
		g.refused(w, r, refuse(http.StatusInternalServerError, "The sign-in could not be begun.", err))
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", there)
	w.WriteHeader(http.StatusSeeOther)
}

// callback ends a sign-in: the issuer sent the browser back.
func (g *Gate) callback(w http.ResponseWriter, r *http.Request) {
	f, no := g.resume(w, r)
	if no != nil {
		g.refused(w, r, no)
		return
	}
	id, no := g.oidc.finish(r.Context(), r.URL.Query(), f)
	if no != nil {
		g.refused(w, r, no)
		return
	}
	if err := g.openSession(w, id); err != nil {
		g.refused(w, r, refuse(http.StatusInternalServerError, "The session could not be made.", err))
		return
	}
	g.log.LogAttrs(r.Context(), slog.LevelInfo, "signed in",
		slog.String("email", id.Person.Email), slog.String("slack", id.Person.Slack), slog.String("issuer", g.oidc.host))
	g.redirect(w, f.To)
}

// resume is the sign-in that this answer belongs to: begun by this browser, a
// short time ago, and not answered before. An answer that does not belong to it
// leaves it alone, so that nobody can spoil it from outside.
func (g *Gate) resume(w http.ResponseWriter, r *http.Request) (flow, *refusal) {
	f, ok := g.flow(r)
	if !ok {
		return f, refuse(http.StatusBadRequest, "This sign-in was not begun in this browser, or too long ago.", nil)
	}
	state, ok := single(r.URL.Query(), "state")
	if !ok || subtle.ConstantTimeCompare([]byte(state), []byte(f.State)) != 1 {
		return f, refuse(http.StatusBadRequest, "This answer belongs to another sign-in.", nil)
	}
	setCookie(w, flowCookie, "", 0)
	if !g.used.use(f.State) {
		return f, refuse(http.StatusBadRequest, "This sign-in was used already.", nil)
	}
	return f, nil
}

// single is a parameter that is there exactly once.
func single(q url.Values, name string) (string, bool) {
	if len(q[name]) != 1 || q[name][0] == "" {
		return "", false
	}
	return q[name][0], true
}

// finish turns the issuer's answer into a person.
func (o *issuer) finish(ctx context.Context, q url.Values, f flow) (Identity, *refusal) {
	if iss, ok := q["iss"]; ok && (len(iss) != 1 || iss[0] != o.Issuer) { // RFC 9207
		return Identity{}, refuse(http.StatusBadRequest, "This answer came from another issuer.", nil)
	}
	if e := q.Get("error"); e != "" {
		return Identity{}, refuse(http.StatusForbidden, o.title()+" did not sign you in.", fmt.Errorf("the issuer answered %q", clip(e)))
	}
	code, ok := single(q, "code")
	if !ok {
		return Identity{}, refuse(http.StatusBadRequest, o.title()+" sent no code.", nil)
	}
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	default:
		return Identity{}, o.away(errBusy)
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, o.client), codeTimeout)
	defer cancel()
	return o.redeem(ctx, code, f)
}

// redeem trades the code for claims, and believes these only as far as the
// token is the issuer's, for us, and for this sign-in.
func (o *issuer) redeem(ctx context.Context, code string, f flow) (Identity, *refusal) {
	e, err := o.discover(ctx)
	if err != nil {
		return Identity{}, o.away(err)
	}
	tok, err := e.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return Identity{}, o.exchangeFailed(err, code, f.Verifier)
	}
	raw, ok := tok.Extra("id_token").(string)
	if !ok {
		return Identity{}, refuse(http.StatusBadGateway, o.title()+" did not say who you are.", errors.New("no ID token"))
	}
	hide := []string{code, f.Verifier, raw, tok.AccessToken, tok.RefreshToken}
	t, err := e.verifier.Verify(ctx, raw)
	if err == nil {
		err = o.ours(t, tok.AccessToken, f.Nonce)
	}
	if err != nil {
		return Identity{}, refuse(http.StatusForbidden, "What "+o.title()+" sent could not be believed.", o.quiet(err, hide...))
	}
	c := claims{}
	if err := t.Claims(&c); err != nil {
		return Identity{}, refuse(http.StatusBadGateway, o.title()+" sent what cannot be read.", o.quiet(err, hide...))
	}
	if c["email"] == nil && !o.slack {
		if err := o.moreClaims(ctx, e, tok, c); err != nil {
			return Identity{}, refuse(http.StatusForbidden, "The account has no plain e-mail address.", o.quiet(err, hide...))
		}
	}
	return o.identity(c)
}

// ours checks what the library leaves to its user.
func (o *issuer) ours(t *oidc.IDToken, accessToken, nonce string) error {
	var c struct {
		Party *string `json:"azp"`
	}
	if err := t.Claims(&c); err != nil {
		return errors.New("the claims cannot be read")
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(nonce)) != 1:
		return errors.New("the nonce is not that of this sign-in")
	case c.Party != nil && *c.Party != o.ClientID:
		return errors.New("the token was made for another client")
	case len(t.Audience) > 1 && c.Party == nil:
		return errors.New("the token is for several and does not say for which")
	case t.Subject == "":
		return errors.New("the token names nobody")
	case t.AccessTokenHash != "":
		return t.VerifyAccessToken(accessToken)
	}
	return nil
}

// moreClaims asks the issuer for what is not in the token: some give the
// address only here. It is taken whole, lest an address be believed on the word
// about another one.
func (o *issuer) moreClaims(ctx context.Context, e *endpoints, tok *oauth2.Token, c claims) error {
	info, err := e.provider.UserInfo(ctx, oauth2.StaticTokenSource(tok))
	if err != nil {
		return err
	}
	more := claims{}
	if err := info.Claims(&more); err != nil {
		return err
	}
	if more.text("sub") != c.text("sub") { // the token's is not empty
		return errors.New("the user info is about somebody else")
	}
	for _, name := range []string{"email", "email_verified"} {
		delete(c, name)
		if v, ok := more[name]; ok {
			c[name] = v
		}
	}
	if v, ok := more["name"]; ok && c["name"] == nil {
		c["name"] = v
	}
	return nil
}

// away is the refusal while the issuer cannot be asked.
func (o *issuer) away(err error) *refusal {
	return refuse(http.StatusServiceUnavailable, o.title()+" cannot be reached at the moment, so nobody can sign in. Please try again shortly.", o.quiet(err))
}

// exchangeFailed tells a code that the issuer refuses from an issuer in trouble.
// Of its answer only status and error code are kept: the body may hold anything.
func (o *issuer) exchangeFailed(err error, hide ...string) *refusal {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return o.away(o.quiet(err, hide...))
	}
	cause := o.quiet(fmt.Errorf("the token endpoint answered %d %q", answer.Response.StatusCode, clip(answer.ErrorCode)), hide...)
	if answer.Response.StatusCode >= 500 {
		return o.away(cause)
	}
	return refuse(http.StatusForbidden, o.title()+" refused to say who you are. Please sign in again.", cause)
}

// quiet is an error without the secrets that may stand in its text.
func (o *issuer) quiet(err error, secrets ...string) error {
	s := err.Error()
	for _, x := range append(secrets, o.ClientSecret) {
		if x != "" {
			s = strings.ReplaceAll(s, x, "[hidden]")
			s = strings.ReplaceAll(s, url.QueryEscape(x), "[hidden]")
		}
	}
	return errors.New(s)
}
