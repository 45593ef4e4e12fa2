package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"countersign/bot/access"
	"countersign/bot/checkup"
	"countersign/bot/slackapp"
	"countersign/config"
)

// doctor says what would keep serve from working, without changing anything.
func doctor(ctx context.Context, args []string, c console) error {
	fs := flags(c, "doctor", "--repo PATH [flags] [--json]", `Checks what serve would find with the same flags and environment: tokens and
scopes, the approval channel, user groups, people without a Slack account, the
repositories and who may write to them, the configuration, the signing key,
providers, those on call, the clock, the data directory. It changes nothing and
may run beside the bot. Each finding says how to mend it. It exits with 1 if
something would break, and with 0 if there are only warnings.`)
	asJSON := fs.Bool("json", false, "write the findings as JSON")
	s, err := readSetup(fs, args, c)
	if err != nil {
		return err
	}
	s.log = slog.New(slog.DiscardHandler)
	d := &examination{service: &service{setup: s}}
	findings := d.run(ctx)
	for _, end := range d.ends {
		end()
	}
	hide := hider(s.tokens()...)
	for i := range findings {
		f := &findings[i]
		f.Subject, f.Text, f.Remedy = hide(f.Subject), hide(f.Text), hide(f.Remedy)
	}
	if *asJSON {
		err = checkup.WriteJSON(c.out, findings)
	} else if err = checkup.WriteText(c.out, findings); err == nil {
		_, err = io.WriteString(c.err, summary(findings))
	}
	if err == nil && checkup.Count(findings, checkup.Fault) > 0 {
		err = errFound
	}
	return err
}

func summary(findings []checkup.Finding) string {
	return count(checkup.Count(findings, checkup.Fault), "fault") + ", " + count(checkup.Count(findings, checkup.Warning), "warning") + "\n"
}

// examination is one run of doctor. What is known comes from the repositories; what
// could not be read stays nil, and whoever needs it leaves that out.
type examination struct {
	*service
	file  *config.File  // as it stands at the head of its branch
	rules *access.Rules // those that serve would put in force
	ends  []func()      // remove what was fetched
}

// How long an examiner may take, on this machine and elsewhere.
const (
	patienceHere  = time.Minute
	patienceThere = 2 * time.Minute
)

// run reads the repositories first, since the rules say what else there is to see.
func (d *examination) run(ctx context.Context) []checkup.Finding {
	found := checkup.Run(ctx, checkup.Examiner{Check: "repo", Patience: patienceThere, Examine: d.repositories})
	return append(found, checkup.Run(ctx,
		checkup.Examiner{Check: "hands", Patience: patienceThere, Examine: d.hands},
		checkup.Examiner{Check: "data_dir", Patience: patienceHere, Examine: d.data},
		checkup.Examiner{Check: "slack", Patience: patienceThere, Examine: d.workspace},
		checkup.Examiner{Check: "resources", Patience: patienceThere, Examine: d.resources},
		checkup.Examiner{Check: checkPush, Patience: patienceThere, Examine: d.pushes},
		checkup.Examiner{Check: "github.team", Patience: patienceThere, Examine: d.teams},
		checkup.Examiner{Check: "oncall", Patience: patienceThere, Examine: d.duties},
	)...)
}

func (d *examination) workspace(ctx context.Context, s *checkup.Sheet) {
	slackapp.Examine(ctx, slackapp.Config{
		BotToken: d.slack.bot, AppToken: d.slack.app, UserToken: d.slack.user, SigningSecret: d.slack.secret, APIURL: d.slack.api,
		HTTPClient: &http.Client{},
	}, d.rules, s)
	if d.file != nil && d.file.GroupsRestricted {
		s.Warn("slack.groups_restricted", "", "see in the workspace's settings that only admins create and edit user groups; Slack does not tell apps",
			"slack.groups_restricted is your word that only admins edit user groups: anybody else who can may make themselves an approver")
	}
}
