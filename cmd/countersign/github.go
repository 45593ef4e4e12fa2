package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
)

// githubApp is an installation of a GitHub App, as whom the bot may sign in in
// the place of a token.
type githubApp struct{ id, key, installation string }

// onGitHub reports whether there are credentials for GitHub.
func (s *setup) onGitHub() bool { return s.githubToken != "" || s.githubApp != githubApp{} }

// githubClient signs in at GitHub, by the token or as the App; nil where there
// is neither. Requests go to the address of the API and nowhere else: the client
// would take its token along.
func (s *setup) githubClient() (*http.Client, error) {
	if !s.onGitHub() {
		return nil, nil
	}
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: sameHost}
	if s.githubToken != "" {
		if s.githubApp != (githubApp{}) {
			return nil, errors.New("GITHUB_TOKEN and GITHUB_APP_… are both set; unset one of them")
		}
		client.Transport = bearer(s.githubToken)
		return client, nil
	}
	app, err := s.githubApp.transport(s.githubAPI)
	if err != nil {
		return nil, err
	}
	client.Transport = app
	return client, nil
}

// bearer is a token that goes along with every request.
type bearer string

// RoundTrip implements [http.RoundTripper].
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// transport asks for tokens of the installation as they are needed; each is
// good for an hour.
func (a githubApp) transport(api string) (http.RoundTripper, error) {
	app, err := strconv.ParseInt(a.id, 10, 64)
	installation, err2 := strconv.ParseInt(a.installation, 10, 64)
	if err != nil || err2 != nil || a.key == "" {
		return nil, errors.New("a GitHub App needs GITHUB_APP_ID and GITHUB_APP_INSTALLATION_ID, both numbers, and GITHUB_APP_PRIVATE_KEY")
	}
	t, err := ghinstallation.New(http.DefaultTransport, app, installation, []byte(a.key))
	if err != nil {
		return nil, fmt.Errorf("GITHUB_APP_PRIVATE_KEY is not the App's private key, a PEM file: set GITHUB_APP_PRIVATE_KEY_FILE to its path: %w", err)
	}
	if api != "" {
		t.BaseURL = strings.TrimSuffix(api, "/")
	}
	return t, nil
}

// sameHost follows a redirect within one host only.
func sameHost(next *http.Request, via []*http.Request) error {
	if len(via) > 3 || next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}
