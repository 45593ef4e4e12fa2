package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"countersign/bot/access"
	"countersign/bot/forge"
)

// proposalBranch begins the name of every branch on which the bot proposes.
const proposalBranch = "countersign/"

// A verdict says whether a change of the configuration has been approved, and
// why.
type verdict struct {
	approved bool
	reason   string   // one sentence, for a line
	details  []string // each approval that does not count, and why
}

func refuse(format string, args ...any) verdict { return verdict{reason: fmt.Sprintf(format, args...)} }

// An arbiter decides about pull requests by what stands on the branch that they are
// for. What a pull request says about people is not heard: it could make a friend
// of its requestor.
type arbiter struct {
	branch   string        // of the configuration
	path     string        // of the configuration
	rules    *access.Rules // as they stand on the branch
	mayWrite func(login string) (bool, error)
}

// guards reports whether a change of this file needs a second person: the rules,
// the keys that the log is believed by, and what runs on pull requests.
func (j arbiter) guards(file string) bool {
	return file == j.path || file == "allowed_signers" || strings.HasPrefix(file, ".github/")
}

// decide judges a pull request as it stands. An error means that it could not be
// judged, which is no approval.
func (j arbiter) decide(p *forge.Proposal) (verdict, error) {
	if p.Base != j.branch {
		return refuse("It is for branch %s, and the rules stand on %s: nothing can be said before it is for that one.", p.Base, j.branch), nil
	}
	if !slices.ContainsFunc(p.Files, j.guards) {
		return verdict{approved: true, reason: "It touches neither " + j.path + ", allowed_signers nor .github: no approval is needed here."}, nil
	}
	asked, err := requestedBy(p)
	if err != nil {
		return refuse("A line Requested-by names no e-mail address, so that nobody can be told from the one who asked."), nil
	}
	if len(asked) == 0 && (!p.Author.Human || strings.HasPrefix(p.HeadBranch, proposalBranch)) {
		return refuse("A program opened it, and no line Requested-by says for whom: close it and ask again in Slack."), nil
	}
	return j.weigh(p, asked)
}

// weigh looks for one approval that counts.
func (j arbiter) weigh(p *forge.Proposal, asked []string) (verdict, error) {
	v := verdict{}
	for _, r := range forge.LastWords(p.Reviews) {
		if r.State != forge.Approved {
			continue
		}
		flaw := j.flaw(p, r, asked)
		if flaw == "" {
			may, err := j.mayWrite(r.Login)
			if err != nil {
				return verdict{}, err
			}
			if may {
				return verdict{approved: true, reason: fmt.Sprintf("Approved by %s at %.10s.", r.Login, p.Head)}, nil
			}
			flaw = "may not write to this repository"
		}
		v.details = append(v.details, fmt.Sprintf("the approval of %s does not count: %s", r.Login, flaw))
	}
	v.reason = j.missing(p, asked)
	return v, nil
}

// flaw says why an approval does not count; "" if only the right to write is to
// be looked up.
func (j arbiter) flaw(p *forge.Proposal, r forge.Review, asked []string) string {
	switch {
	case !r.Human:
		return "it is no person's"
	case r.Commit != p.Head:
		return fmt.Sprintf("it is about %.10s, and the newest commit is %.10s", r.Commit, p.Head)
	case strings.EqualFold(r.Login, p.Author.Login):
		return "they opened the pull request"
	case madeBy(p, r.Login):
		return "they made a commit of it"
	}
	whose := j.person(r.Login)
	for _, address := range asked {
		who := j.rules.Canonical(address)
		if whose == who {
			return "they asked for the change"
		}
		if whose == "" && j.login(who) == "" {
			return fmt.Sprintf("nobody knows whether that is %s, who asked for the change", who)
		}
	}
	return ""
}

// missing says what would be an approval.
func (j arbiter) missing(p *forge.Proposal, asked []string) string {
	if len(asked) == 0 {
		return fmt.Sprintf("It waits for the approval of %.10s by somebody other than %s who may write to this repository.", p.Head, p.Author.Login)
	}
	var unknown []string
	for _, address := range asked {
		if who := j.rules.Canonical(address); j.login(who) == "" {
			unknown = append(unknown, who)
		}
	}
	if len(unknown) > 0 {
		return fmt.Sprintf("No GitHub login of %s stands in people on %s: only somebody whose own login stands there can approve, or add theirs first.",
			strings.Join(unknown, ", "), j.branch)
	}
	return fmt.Sprintf("It waits for the approval of %.10s by somebody other than %s who may write to this repository.", p.Head, strings.Join(asked, ", "))
}

// person is the address to which a login belongs; "" if to nobody known.
func (j arbiter) person(login string) string {
	for _, k := range j.rules.People {
		if k.GitHub != "" && strings.EqualFold(k.GitHub, login) {
			return j.rules.Canonical(k.Email)
		}
	}
	return ""
}

// login is the account of an address; "" if none is known.
func (j arbiter) login(address string) string {
	for _, k := range j.rules.People {
		if j.rules.Canonical(k.Email) == address {
			return k.GitHub
		}
	}
	return ""
}

// madeBy reports whether somebody wrote or committed part of a pull request.
func madeBy(p *forge.Proposal, login string) bool {
	return slices.ContainsFunc(p.Commits, func(c forge.ProposedCommit) bool {
		return slices.ContainsFunc(c.Hands, func(a forge.Account) bool { return strings.EqualFold(a.Login, login) })
	})
}

// The line by which the bot says for whom it proposes, however it is indented,
// quoted or emphasized, and the addresses in it.
var (
	requestedLine = regexp.MustCompile(`(?im)^[^\pL\pN\n]*requested[-_ ]by[*_ \t]*:(.*)$`)
	someAddress   = regexp.MustCompile("[^\\s<>()\\[\\],;:\"|]+@[A-Za-z0-9.-]*[A-Za-z0-9]")
)

// errNobodyNamed is a line Requested-by without an address.
var errNobodyNamed = errors.New("a line Requested-by names nobody")

// requestedBy collects the addresses of all who asked for a change, from the text
// of the pull request and of each of its commits. A line that names nobody is an
// error: it may have named the one who approves.
func requestedBy(p *forge.Proposal) ([]string, error) {
	texts := []string{p.Body}
	for _, c := range p.Commits {
		texts = append(texts, c.Message)
	}
	var all []string
	for _, text := range texts {
		lines := strings.NewReplacer("\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n").Replace(text)
		for _, m := range requestedLine.FindAllStringSubmatch(lines, -1) {
			found := someAddress.FindAllString(m[1], -1)
			if len(found) == 0 {
				return nil, errNobodyNamed
			}
			for _, a := range found {
				if a = strings.ToLower(a); !slices.Contains(all, a) {
					all = append(all, a)
				}
			}
		}
	}
	return all, nil
}
