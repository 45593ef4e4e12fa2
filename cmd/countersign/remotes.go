package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"countersign/gitstore"
	gitremote "countersign/gitstore/remote"

	"github.com/bradleyfalzon/ghinstallation/v2"
)

// gitAccess is how repositories elsewhere are reached. A token belongs to one
// host and is shown to no other, whatever a configuration names.
type gitAccess struct {
	token      string // COUNTERSIGN_GIT_TOKEN
	tokenHost  string // the host of --repo, or of --config-repo where that has none
	github     string // GITHUB_TOKEN
	app        githubApp
	githubAPI  string
	sshKey     string // a file
	knownHosts string // files, as in a PATH

	once  sync.Once // sets the two below
	asApp *ghinstallation.Transport
	err   error
}

// readGitAccess reads the environment. The addresses are those that the operator
// gave, the most important first.
func readGitAccess(c console, addresses ...string) (*gitAccess, error) {
	a := &gitAccess{}
	for _, at := range addresses {
		if host := gitremote.Host(at); host != "" {
			a.tokenHost = host
			break
		}
	}
	return a, c.secrets(map[string]*string{
		"COUNTERSIGN_GIT_TOKEN": &a.token, "GITHUB_TOKEN": &a.github, "GITHUB_API_URL": &a.githubAPI,
		"GITHUB_APP_ID": &a.app.id, "GITHUB_APP_PRIVATE_KEY": &a.app.key, "GITHUB_APP_INSTALLATION_ID": &a.app.installation,
		"COUNTERSIGN_SSH_KEY_FILE": &a.sshKey, "SSH_KNOWN_HOSTS": &a.knownHosts,
	})
}

// tokenFor returns the password for a host; empty: there is none.
func (a *gitAccess) tokenFor(ctx context.Context, host string) (string, error) {
	switch {
	case a.token != "" && host == a.tokenHost:
		return a.token, nil
	case host != githubHost(a.githubAPI):
		return "", nil
	case a.github != "":
		return a.github, nil
	case a.app == githubApp{}:
		return "", nil
	}
	a.once.Do(func() {
		t, err := a.app.transport(a.githubAPI)
		a.asApp, _ = t.(*ghinstallation.Transport)
		a.err = err
	})
	if a.err != nil {
		return "", a.err
	}
	return a.asApp.Token(ctx)
}

// githubHost is where the credentials for the GitHub of an API are at home, with the
// port if it has one.
func githubHost(api string) string {
	u, err := url.Parse(api)
	if api == "" || err != nil || u.Host == "api.github.com" {
		return "github.com"
	}
	return u.Host
}

// hostname is a host without its port.
func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

func (a *gitAccess) remote(at string) (*gitremote.Remote, error) {
	return gitremote.New(gitremote.Config{
		URL: at, Token: a.tokenFor, KeyFile: a.sshKey, KnownHosts: filepath.SplitList(a.knownHosts),
	})
}

// mirror opens the mirror of a repository elsewhere, in dir. Its name tells the
// address; the kind keeps apart what must not share one.
func (a *gitAccess) mirror(ctx context.Context, dir, kind, at string) (*gitstore.Repo, error) {
	r, err := a.remote(at)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256([]byte(r.String()))
	return gitstore.OpenMirror(ctx, filepath.Join(dir, fmt.Sprintf("%s-%x.git", kind, id[:8])), r)
}

// openRepo opens a repository of the bot's own by its path, or the mirror of one
// by its address.
func (s *setup) openRepo(ctx context.Context, at string) (*gitstore.Repo, error) {
	if !gitremote.IsURL(at) {
		return gitstore.Open(ctx, at)
	}
	return s.git.mirror(ctx, filepath.Join(s.dataDir, mirrors), "own", at)
}

// mirrors is the directory below the data dir in which mirrors lie. It can be
// removed while the bot is down: all of it is at the remotes.
const mirrors = "mirrors"

// openRepos opens the repository of the log and that of the configuration.
func (s *setup) openRepos(ctx context.Context) (repo, configRepo *gitstore.Repo, err error) {
	if repo, err = s.openRepo(ctx, s.repo); err != nil {
		return nil, nil, fmt.Errorf("--repo: %w", err)
	}
	if s.configRepo == "" || s.configRepo == s.repo {
		return repo, repo, nil
	}
	if configRepo, err = s.openRepo(ctx, s.configRepo); err != nil {
		return nil, nil, fmt.Errorf("--config-repo: %w", err)
	}
	return repo, configRepo, nil
}

// readRepo opens a repository to read all of it. One elsewhere is fetched into a
// directory that done removes.
func (a *gitAccess) readRepo(ctx context.Context, at string) (repo *gitstore.Repo, done func(), err error) {
	if !gitremote.IsURL(at) {
		repo, err = gitstore.Open(ctx, at)
		return repo, func() {}, err
	}
	dir, err := os.MkdirTemp("", "countersign-*")
	if err != nil {
		return nil, nil, err
	}
	done = func() { os.RemoveAll(dir) }
	if repo, err = a.mirror(ctx, dir, "read", at); err == nil {
		err = repo.Fetch(ctx)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return repo, done, nil
}

// repos are the repositories that an editor has opened, by address.
type repos struct {
	access *gitAccess
	dir    string
	own    []string // addresses that no grant may change

	mu   sync.Mutex
	open map[string]*gitstore.Repo // guarded by mu
}

// get opens a repository by path, or brings the mirror of one up to date.
func (r *repos) get(ctx context.Context, at string) (*gitstore.Repo, error) {
	if !gitremote.IsURL(at) {
		return gitstore.Open(ctx, at)
	}
	for _, own := range r.own {
		if at == own {
			return nil, errOwn(at)
		}
	}
	repo, err := r.mirror(ctx, at)
	if err != nil {
		return nil, err
	}
	return repo, repo.Fetch(ctx)
}

func (r *repos) mirror(ctx context.Context, at string) (*gitstore.Repo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if repo := r.open[at]; repo != nil {
		return repo, nil
	}
	if r.access == nil {
		return nil, errors.New("repositories elsewhere are not reached from here")
	}
	repo, err := r.access.mirror(ctx, r.dir, "edit", at)
	if err != nil {
		return nil, err
	}
	if r.open == nil {
		r.open = make(map[string]*gitstore.Repo)
	}
	r.open[at] = repo
	return repo, nil
}

func errOwn(at string) error {
	return fmt.Errorf("%s is the repository of the configuration or of the log: no grant may change it", at)
}
