package github

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-github/v62/github"
)

// An account is a person at GitHub, at this moment.
type account struct {
	id    int64
	login string // what the id is called now
}

// idOf is the number of the account that has a login now.
func (p *Provider) idOf(ctx context.Context, login string) (int64, error) {
	if !isLogin(login) {
		return 0, fmt.Errorf("github: %q cannot be a login: correct people.github in the configuration", login)
	}
	doing := "look up " + login
	u, _, err := p.client.Users.Get(ctx, login)
	switch {
	case status(err) == http.StatusNotFound:
		return 0, fmt.Errorf("github: %s: GitHub knows no such login: the account was renamed or deleted: correct people.github in the configuration", doing)
	case err != nil:
		return 0, p.fault(doing, err)
	case u.GetID() <= 0 || !strings.EqualFold(u.GetLogin(), login):
		return 0, fmt.Errorf("github: %s: GitHub answers with another account: correct people.github in the configuration", doing)
	}
	return u.GetID(), person(doing, u)
}

// account is the one that a subject means, by its number alone. The error wraps
// errGone where there is none any more.
func (p *Provider) account(ctx context.Context, subject string) (account, error) {
	name, number, _ := strings.Cut(subject, "#")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 || !isLogin(name) {
		return account{}, fmt.Errorf("github: the subject %q is not login#id", subject)
	}
	doing := fmt.Sprintf("look up the account %s", subject)
	u, _, err := p.client.Users.GetByID(ctx, id)
	switch {
	case status(err) == http.StatusNotFound:
		return account{}, fmt.Errorf("github: %s: %w: the account was deleted", doing, errGone)
	case err != nil:
		return account{}, p.fault(doing, err)
	case u.GetID() != id || !isLogin(u.GetLogin()):
		return account{}, fmt.Errorf("github: %s: GitHub answers with another account", doing)
	}
	return account{id: id, login: u.GetLogin()}, nil
}

// person refuses what is no person's account: an organization, a bot.
func person(doing string, u *github.User) error {
	if u.GetType() != "User" {
		return fmt.Errorf("github: %s: this is no person's account (%s): correct people.github in the configuration", doing, line(u.GetType(), 30))
	}
	return nil
}
