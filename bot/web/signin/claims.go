package signin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"countersign/bot/access"
)

// claims are those of a token, by their exact names: encoding/json would take
// EMAIL for email.
type claims map[string]json.RawMessage

// text is a claim that is a text, and empty for any other.
func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// verified is whether the issuer says that the address is the person's; said is
// false where it says nothing. Some issuers write the word as a text.
func (c claims) verified() (yes, said bool) {
	switch v := string(c["email_verified"]); v {
	case "", "null":
		return false, false
	default:
		return v == "true" || v == `"true"`, true
	}
}

// identity is whom an issuer's claims name, if they may come in.
func (o *issuer) identity(c claims) (Identity, *refusal) {
	id := Identity{Name: displayName(c.text("name"))}
	if o.slack {
		no := o.slackAccount(c, &id)
		if no != nil {
			return Identity{}, no
		}
	}
	email, why := o.email(c)
	switch {
	case why == "":
		id.Person.Email = email
	case !o.slack || len(o.Domains) > 0: // Slack's id alone names a person, though no domain
		return Identity{}, refuse(http.StatusForbidden, why, nil)
	}
	return id, nil
}

// slackAccount takes the Slack id, which no other issuer is believed about.
func (o *issuer) slackAccount(c claims, id *Identity) *refusal {
	team, org, user := c.text("https://slack.com/team_id"), c.text("https://slack.com/enterprise_id"), c.text("https://slack.com/user_id")
	if !slices.Contains(o.SlackTeams, team) && !slices.Contains(o.SlackTeams, org) {
		return refuse(http.StatusForbidden, "This Slack account is of another workspace.", nil)
	}
	if !slackID(user, "UW") {
		return refuse(http.StatusForbidden, "Slack did not say which account this is.", nil)
	}
	id.Person.Slack = user
	return nil
}

// email is the address that the issuer vouches for, or why there is none.
func (o *issuer) email(c claims) (email, why string) {
	email, plain := address(c.text("email"))
	verified, said := c.verified()
	switch {
	case !plain:
		return "", "The account has no plain e-mail address."
	case said && !verified:
		return "", "The account's e-mail address is not confirmed."
	case !said && !o.TrustEmail:
		return "", "Nobody vouches for the account's e-mail address."
	}
	_, host, _ := strings.Cut(email, "@")
	if o.host == "accounts.google.com" && c.text("hd") == "" && host != "gmail.com" {
		// Anybody may make a private account with a company's address once they can
		// read its mail, and keep the account when they leave.
		return "", "This is a private Google account with an address of somewhere else."
	}
	if len(o.Domains) > 0 && !slices.ContainsFunc(o.Domains, func(d string) bool { return strings.EqualFold(d, host) }) {
		return "", "Accounts of this e-mail domain are not let in."
	}
	return email, ""
}

// displayName is a name fit for a page and a log, on one line.
func displayName(s string) string {
	return access.Clean(strings.Join(strings.Fields(s), " "), 80)
}

// address is an e-mail address in the form that the rules compare, if it is a
// plain one: ASCII, no quotes, no comments, one only. Where two programs could
// read an address as two people, it is nobody's.
func address(s string) (string, bool) {
	s = access.Address(s)
	local, host, ok := strings.Cut(s, "@")
	if !ok || len(s) > 254 || len(local) > 64 || !domain(host) {
		return "", false
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return "", false
		}
		for _, c := range []byte(atom) {
			if !alnum(c) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", rune(c)) {
				return "", false
			}
		}
	}
	return s, true
}

// domain reports whether a lower-case text is the name of a host.
func domain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !alnum(c) && c != '-' || 'A' <= c && c <= 'Z' {
				return false
			}
		}
	}
	return true
}

// slackID reports whether a text is an id of Slack's of one of these kinds.
func slackID(s, kinds string) bool {
	if len(s) < 2 || len(s) > 32 || !strings.Contains(kinds, s[:1]) {
		return false
	}
	for _, c := range []byte(s) {
		if !alnum(c) || 'a' <= c && c <= 'z' {
			return false
		}
	}
	return true
}

func alnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
