package config

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
)

const maxName = 100

// shapes are how names look, compiled once a file. What they match has at most
// maxName characters; the patterns do not say so, since counting makes them slow.
type shapes struct {
	address   *regexp.Regexp
	slackUser *regexp.Regexp // id
	channel   *regexp.Regexp // id, or # and the name
	handle    *regexp.Regexp // of a Slack user group; also the name of a group here
	login     *regexp.Regexp // of a person or organization at GitHub
	slug      *regexp.Regexp // of a team at GitHub
	ownerName *regexp.Regexp // owner/name, or org/team
	vendorID  *regexp.Regexp // of PagerDuty or incident.io
	resource  *regexp.Regexp // id
	tag       *regexp.Regexp // key
	env       *regexp.Regexp
}

func newShapes() shapes {
	const atom = "[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+"
	const label = `[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?`
	return shapes{
		// Addresses follow what mail systems take in practice. Letters outside
		// ASCII are refused: two that look alike would be two people.
		address:   regexp.MustCompile(`^` + atom + `(?:\.` + atom + `)*@(?:` + label + `\.)+` + label + `$`),
		slackUser: regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`),
		channel:   regexp.MustCompile(`^(?:[CG][A-Z0-9]{2,}|#[\p{Ll}\p{Lo}\p{M}\p{N}_-]+)$`),
		handle:    regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`),
		login:     regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`),
		slug:      regexp.MustCompile(`^[A-Za-z0-9._-]+$`),
		ownerName: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+$`),
		vendorID:  regexp.MustCompile(`^[A-Za-z0-9_-]+$`),
		resource:  regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]*$`),
		tag:       regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`),
		env:       regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`),
	}
}

const envHint = "write the name of an environment variable such as PAYMENTS_SECRET, none of SLACK_*, GITHUB_*, PAGERDUTY_*, INCIDENT_IO_* and COUNTERSIGN_*"

// envName reports whether a secret may be read from that variable. The bot's
// own credentials may not: a change of the configuration could send them away.
func (x shapes) envName(s string) bool {
	for _, own := range []string{"SLACK_", "GITHUB_", "PAGERDUTY_", "INCIDENT_IO_", "COUNTERSIGN_"} {
		if strings.HasPrefix(s, own) {
			return false
		}
	}
	return len(s) <= maxName && x.env.MatchString(s)
}

// webhookURL reports whether access may be asked for there.
func webhookURL(s string, private bool) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && private && loopback(u.Hostname())
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// gitRepo reports whether git may be sent there: https, ssh, or a path. A
// password in the address would be public in the log.
func gitRepo(s string) bool {
	if strings.HasPrefix(s, "-") || strings.Contains(s, "::") {
		return false
	}
	if !strings.Contains(s, "://") {
		return !strings.Contains(s, " ") || strings.HasPrefix(s, "/") // user@host:path, or a path
	}
	u, err := url.Parse(s)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	if _, secret := u.User.Password(); secret {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.User == nil && u.Hostname() != "" && len(u.Path) > 1
	case "http":
		return u.User == nil && loopback(u.Hostname()) && len(u.Path) > 1
	case "ssh":
		return u.Hostname() != "" && !strings.HasPrefix(u.Hostname(), "-") && len(u.Path) > 1
	case "file":
		return u.Host == "" && u.Path != ""
	}
	return false
}

// forgeRepo reports whether an address can be that of owner/name on a forge.
func forgeRepo(s string) bool {
	path := ""
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		path = strings.TrimPrefix(u.Path, "/")
	} else if host, rest, ok := strings.Cut(s, ":"); ok && !strings.Contains(host, "/") {
		path = rest // user@host:owner/name
	}
	owner, name, ok := strings.Cut(strings.TrimSuffix(path, "/"), "/")
	return gitRepo(s) && ok && owner != "" && name != "" && !strings.Contains(name, "/")
}

// gitBranch reports whether git takes the name for a branch.
func gitBranch(s string) bool {
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "refs/") || s == "HEAD" || s == "@" || len(s) > 200 {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
			return false
		}
	}
	return !strings.Contains(s, "..") && !strings.Contains(s, "@{") && !strings.ContainsAny(s, " ~^:?*[\\")
}

// filePath reports whether a path stays below where it begins and out of git's
// own directory.
func filePath(s string) bool {
	if s == "" || s == "." || strings.HasPrefix(s, "/") || strings.HasPrefix(s, "-") || strings.Contains(s, `\`) || path.Clean(s) != s || len(s) > 1000 {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == ".." || strings.EqualFold(part, ".git") {
			return false
		}
	}
	return true
}

// listKey reports whether a key names a place in a YAML file: levels between dots, one
// with a dot of its own in double quotes.
func listKey(s string) bool {
	for n := 1; n <= 20; n++ {
		level, rest, more := strings.Cut(s, ".")
		if quoted, ok := strings.CutPrefix(s, `"`); ok {
			if level, rest, ok = strings.Cut(quoted, `"`); !ok || rest != "" && rest[0] != '.' {
				return false
			}
			rest, more = strings.CutPrefix(rest, ".")
		}
		if level == "" || strings.TrimSpace(level) != level || level == "<<" {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
	return false
}
