package slackapp

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"countersign/bot/access"
)

// fresh is how long what the directory says is believed.
const fresh = 5 * time.Minute

// directory knows people by Slack's user id and by e-mail address.
type directory struct {
	web *web

	mu         sync.Mutex
	team       string // guarded by mu
	enterprise string // guarded by mu
	people     map[string]personEntry
	addresses  map[string]addressEntry
}

type personEntry struct {
	actor access.Actor
	at    time.Time
}

type addressEntry struct {
	user string // empty: nobody has this address
	at   time.Time
}

func newDirectory(w *web) *directory {
	return &directory{web: w, people: map[string]personEntry{}, addresses: map[string]addressEntry{}}
}

// home tells which workspace is ours.
func (d *directory) home(team, enterprise string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.team, d.enterprise = team, enterprise
}

// actor looks an account up. An account that may not act comes with the reason; an
// error means that the directory cannot be reached, and decides nothing.
func (d *directory) actor(ctx context.Context, user string) (access.Actor, error) {
	d.mu.Lock()
	e, ok := d.people[user]
	d.mu.Unlock()
	if ok && time.Since(e.at) < fresh {
		return e.actor, nil
	}
	answer, err := d.web.call(ctx, "users.info", url.Values{"user": {user}})
	switch slackError(err) {
	case "user_not_found", "user_not_visible", "users_not_found":
		return access.Actor{Person: access.Person{Slack: user}, Barred: "Slack does not show this account to Countersign, so it cannot take part."}, nil
	}
	if err != nil {
		return access.Actor{}, err
	}
	if answer.str("user", "id") == "" {
		return access.Actor{}, errors.New("slack answered no account")
	}
	return d.learn(answer.at("user")), nil
}

// recall is what was last known about an account, however old, without asking.
func (d *directory) recall(user string) (access.Actor, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.people[user]
	return e.actor, ok
}

// learn keeps what Slack says about an account.
func (d *directory) learn(user payload) access.Actor {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := access.Actor{Person: access.Person{
		Slack: user.str("id"),
		Email: access.Address(user.str("profile", "email")),
	}}
	a.Barred = barred(user, d.team, d.enterprise)
	if len(d.people) > 20000 {
		clear(d.people)
	}
	d.people[a.Slack] = personEntry{a, time.Now()}
	return a
}

// barred says why an account may not take part; empty if it may. People of another
// workspace can click our buttons in channels that are shared with them.
func barred(user payload, team, enterprise string) string {
	ours := user.str("team_id") == team || enterprise != "" && user.str("enterprise_user", "enterprise_id") == enterprise
	switch {
	case !ours, user.flag("is_stranger"):
		return "This account belongs to another workspace, so it cannot take part."
	case user.flag("deleted"):
		return "This Slack account is deactivated."
	case user.flag("is_bot"), user.str("id") == "USLACKBOT", user.flag("is_workflow_bot"):
		return "Bots cannot take part."
	case user.flag("is_restricted"), user.flag("is_ultra_restricted"):
		return "Guests of this workspace cannot take part."
	case user.str("profile", "email") == "":
		return "This Slack account shows no e-mail address, so nobody can tell whose it is."
	case user.denied("is_email_confirmed"):
		return "The e-mail address of this Slack account is not confirmed."
	}
	return ""
}

// changed takes a user_change event: it is newer than what is kept. It reports
// whether somebody who was looked up by address is concerned. Slack sends these
// events for every new status of anybody.
func (d *directory) changed(user payload) bool {
	id, email := user.str("id"), access.Address(user.str("profile", "email"))
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.people, id)
	concerned := false
	for address, e := range d.addresses {
		if address == email || e.user == id {
			delete(d.addresses, address)
			concerned = true
		}
	}
	return concerned
}

// forgetAddresses makes the next lookups by address ask again.
func (d *directory) forgetAddresses() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.addresses)
}

// find is the account with an address; empty if there is none. Slack answers the
// same for unknown and for deactivated people.
func (d *directory) find(ctx context.Context, email string) (string, error) {
	email = access.Address(email)
	d.mu.Lock()
	e, ok := d.addresses[email]
	d.mu.Unlock()
	if ok && time.Since(e.at) < fresh {
		return e.user, nil
	}
	answer, err := d.web.call(ctx, "users.lookupByEmail", url.Values{"email": {email}})
	if err != nil && slackError(err) != "users_not_found" {
		return "", err
	}
	user := ""
	if err == nil {
		user = d.learn(answer.at("user")).Slack
	}
	d.mu.Lock()
	d.addresses[email] = addressEntry{user, time.Now()}
	d.mu.Unlock()
	return user, nil
}

// accounts are those that the configuration names for a person, and that of each
// of their addresses.
func (d *directory) accounts(ctx context.Context, rules *access.Rules, email string) ([]string, error) {
	addresses := []string{email}
	var users []string
	for _, k := range rules.People {
		if rules.Canonical(k.Email) == rules.Canonical(email) {
			users = append(users, k.Slack...)
			addresses = append(addresses, append([]string{k.Email}, k.Aliases...)...)
		}
	}
	for _, e := range addresses {
		user, err := d.find(ctx, e)
		if err != nil {
			return nil, err
		}
		if user != "" {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return slices.Compact(users), nil
}
