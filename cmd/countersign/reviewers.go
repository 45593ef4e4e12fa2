package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"countersign/bot/access"
	"countersign/bot/forge"
	"countersign/bot/yamledit"
	"countersign/config"
)

// address is what may become a reviewer. The configuration's own check follows.
var address = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$`)

// proposeReviewer opens the pull request that adds or removes a reviewer, for a
// reviewer who asked for it in Slack, and returns its address. The bot changes
// nothing by itself: somebody else has to approve and merge.
func (v *service) proposeReviewer(ctx context.Context, by access.Actor, add bool, email string) (string, error) {
	rules := v.rules.Current()
	if by.Barred != "" || !rules.Reviewer(by.Person) {
		return "", access.Refuse(access.NotReviewer, "Only reviewers can propose a change of the reviewers.")
	}
	if v.github == nil {
		return "", access.Refuse(access.NotConfigured, "Changing the reviewers from Slack needs `GITHUB_TOKEN`, and a configuration on GitHub. Edit `%s` by hand instead.", v.configPath)
	}
	email = access.Address(email)
	if !address.MatchString(email) {
		return "", access.Refuse(access.BadPrincipal, "That is not an e-mail address.")
	}
	verb, edit := "remove", yamledit.Remove
	if add {
		verb, edit = "add", yamledit.Add
	}
	_, url, err := v.github.Propose(ctx, forge.Change{
		Base: v.configBranch, Path: v.configPath,
		Branch:  "countersign/" + verb + "-reviewer-" + regexp.MustCompile(`[^a-z0-9.-]`).ReplaceAllString(strings.ReplaceAll(email, "@", "-at-"), "_"),
		Title:   fmt.Sprintf("reviewers: %s %s", verb, email),
		Message: "Requested-by: " + by.Email,
		Body:    fmt.Sprintf("Asked for in Slack by %s, who must not be the one to approve it.\n\nRequested-by: %s\n", by.Email, by.Email),
		Edit: func(old []byte) ([]byte, error) {
			changed, err := edit(old, []string{"reviewers"}, email)
			if err != nil {
				return nil, err
			}
			_, _, err = config.Parse(v.configPath, changed, "")
			return changed, err
		},
	})
	if errors.Is(err, forge.ErrNothingToDo) {
		return "", access.Refuse(access.AlreadyDecided, "Nothing to do: %s is %s.", email, map[bool]string{true: "a reviewer already", false: "no reviewer"}[add])
	}
	return url, err
}
