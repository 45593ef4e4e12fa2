package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// setup is what the flags and the environment of serve come to, and those of
// doctor, which judges what serve would get.
type setup struct {
	repo, configRepo         string // paths or addresses; configRepo defaults to repo
	configBranch, configPath string
	auditBranch              string
	dataDir                  string
	keyFile                  string // unset: in the data dir
	accept                   string // --accept-config
	poll                     time.Duration
	listen                   string
	slack                    slackTokens
	githubToken, githubAPI   string
	githubApp                githubApp
	git                      *gitAccess // to repositories elsewhere
	execDir                  string     // --exec-dir; unset: exec is off
	console                  console    // where the secrets of resources are looked up
	pagerduty, incidentio    vendor
	sweep                    time.Duration // how often drift is looked for; 0: never
	routingKey               string        // of PagerDuty's Events API, for alerts
	pagerdutyEvents          string        // address of that API; empty: PagerDuty's
	page                     string        // address of the dashboard, without a path; empty: none
	entrance                 entrance
	reportWorkflow           string // --report-workflow; unset: nobody is asked for reports
	log                      *slog.Logger
}

// vendor is a service that knows who is on call.
type vendor struct{ token, api string }

type slackTokens struct{ bot, app, user, secret, api string }

// readSetup reads the flags and the environment. Tokens may be missing: what that
// means is the caller's to say.
func readSetup(fs *flag.FlagSet, args []string, c console) (setup, error) {
	s := setup{console: c}
	s.flags(fs)
	if err := parse(fs, args); err != nil {
		return s, err
	}
	switch {
	case s.repo == "":
		return s, usageError{"--repo is missing"}
	case s.poll < time.Second:
		return s, usageError{"--poll is at least 1s"}
	case s.reportWorkflow != "" && !workflowShape.MatchString(s.reportWorkflow):
		return s, usageError{"--report-workflow wants the name of a workflow's file, such as report.yml, or report.yml@BRANCH"}
	}
	if s.dataDir == "" {
		dir, err := stateDir(c)
		if err != nil {
			return s, err
		}
		s.dataDir = dir
	}
	s.page = strings.TrimSuffix(s.page, "/")
	if err := s.environment(c); err != nil {
		return s, err
	}
	var err error
	s.git, err = readGitAccess(c, s.repo, s.configRepo)
	return s, err
}

func (s *setup) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.repo, "repo", "", "the path or the `URL` of the repository with the log (required)")
	fs.StringVar(&s.configRepo, "config-repo", "", "the path or the `URL` of the repository with the configuration (default: --repo)")
	fs.StringVar(&s.configBranch, "config-branch", "main", "the `BRANCH` of the configuration")
	fs.StringVar(&s.configPath, "config-path", "countersign.yaml", "the configuration's `FILE` on it")
	fs.StringVar(&s.auditBranch, "audit-branch", "audit", "the `BRANCH` of the log")
	fs.StringVar(&s.dataDir, "data-dir", "", "the `DIR` for the signing key and what can be rebuilt (default: in the state directory of the user)")
	fs.DurationVar(&s.poll, "poll", 30*time.Second, "how often the config branch is looked at")
	fs.DurationVar(&s.sweep, "sweep", time.Hour, "how often the providers are asked whether they hold what the log says; 0: never")
	fs.StringVar(&s.accept, "accept-config", "", "accept the `COMMIT` at the head of the config branch although it does not build on the last one used")
	fs.StringVar(&s.listen, "listen", "127.0.0.1:8080", "the `ADDRESS` of /healthz, /readyz, /metrics, the dashboard and, in HTTP mode, /slack/")
	fs.StringVar(&s.page, "dashboard", "", "the `URL` of the dashboard as browsers see it, such as https://access.example.com; it needs a sign-in")
	fs.StringVar(&s.entrance.header, "dashboard-header", "", "the `NAME` of the header in which a reverse proxy that signs people in gives their address")
	fs.StringVar(&s.entrance.proxies, "dashboard-proxy", "", "the `ADDRESSES` from which that proxy connects, by commas")
	fs.StringVar(&s.reportWorkflow, "report-workflow", "", "the `FILE[@BRANCH]` of the workflow on GitHub that is started, at most every 10 minutes, when the log has moved, such as report.yml (BRANCH: as --config-branch)")
	fs.StringVar(&s.execDir, "exec-dir", "", "the `DIR` of the programs that exec resources may run; unset: none runs")
}

func (s *setup) environment(c console) error {
	return c.secrets(map[string]*string{
		"SLACK_BOT_TOKEN": &s.slack.bot, "SLACK_APP_TOKEN": &s.slack.app, "SLACK_USER_TOKEN": &s.slack.user,
		"SLACK_SIGNING_SECRET": &s.slack.secret,
		"SLACK_API_URL":        &s.slack.api, "COUNTERSIGN_SIGNING_KEY_FILE": &s.keyFile,
		"PAGERDUTY_ROUTING_KEY": &s.routingKey, "PAGERDUTY_EVENTS_URL": &s.pagerdutyEvents,
		"PAGERDUTY_TOKEN": &s.pagerduty.token, "PAGERDUTY_API_URL": &s.pagerduty.api,
		"INCIDENT_IO_API_KEY": &s.incidentio.token, "INCIDENT_IO_API_URL": &s.incidentio.api,
		"COUNTERSIGN_OIDC_ISSUER": &s.entrance.issuer, "COUNTERSIGN_OIDC_CLIENT_ID": &s.entrance.clientID,
		"COUNTERSIGN_OIDC_CLIENT_SECRET": &s.entrance.clientSecret, "COUNTERSIGN_OIDC_DOMAINS": &s.entrance.domains,
		"GITHUB_TOKEN": &s.githubToken, "GITHUB_API_URL": &s.githubAPI,
		"GITHUB_APP_ID": &s.githubApp.id, "GITHUB_APP_PRIVATE_KEY": &s.githubApp.key, "GITHUB_APP_INSTALLATION_ID": &s.githubApp.installation,
	})
}

// tokens are all that must stand in no output.
func (s *setup) tokens() []string {
	return []string{
		s.git.token, s.slack.bot, s.slack.app, s.slack.user, s.slack.secret, s.githubToken, s.githubApp.key, s.pagerduty.token, s.routingKey, s.incidentio.token, s.entrance.clientSecret,
	}
}

// stateDir is where programs of this user keep what must survive a restart.
func stateDir(c console) (string, error) {
	if dir := c.env("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "countersign"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("--data-dir is not set, and there is no home directory: %w", err)
	}
	return filepath.Join(home, ".local", "state", "countersign"), nil
}
