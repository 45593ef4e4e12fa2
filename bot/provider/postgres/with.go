package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"countersign/bot/access"
)

// A place is a role of a server.
type place struct {
	env, role string
	terminate bool
}

// placeOf reads a target. It checks again what the configuration checks, since
// a target may come from a log that somebody else wrote.
func placeOf(t access.Target) (place, error) {
	env, _ := t.With["dsn_env"].(string)
	given, _ := t.With["role"].(string)
	terminate, ok := t.With["terminate"].(bool)
	if _, set := t.With["terminate"]; set && !ok {
		return place{}, failure("the target's terminate is neither true nor false")
	}
	if err := checkEnv(env); err != nil {
		return place{}, err
	}
	if why := unfit(given); why != "" {
		return place{}, failure("the target's role %q %s", given, why)
	}
	return place{env: env, role: given, terminate: terminate}, nil
}

// checkEnv refuses the bot's own credentials: whoever may change the
// configuration could send them to a server.
func checkEnv(name string) error {
	if len(name) > 100 || !regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`).MatchString(name) {
		return failure("the target's dsn_env is no name of an environment variable; write such a name there, and never the connection string itself")
	}
	for _, own := range []string{"SLACK_", "GITHUB_", "PAGERDUTY_", "INCIDENT_IO_", "COUNTERSIGN_"} {
		if strings.HasPrefix(name, own) {
			return failure("the target's dsn_env %s is one of the bot's own variables; use another", name)
		}
	}
	return nil
}

// maxName is how long a name may be, in bytes: NAMEDATALEN less one.
const maxName = 63

// unfit says why something cannot be the name of a role.
func unfit(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than the %d bytes that PostgreSQL keeps of a name", maxName)
	case !utf8.ValidString(name), strings.Contains(name, "\x00"):
		return "is not a text"
	}
	return ""
}

// memberName is the role that a person should have.
func memberName(who access.Account) (string, error) {
	name := who.Postgres
	if name == "" {
		name = who.Email
	}
	why := unfit(name)
	if why == "" && strings.Contains(name, "#") {
		why = "has a # sign, which ends a name in the log"
	}
	if why != "" {
		return "", noAccount("the role %q %s; set people.postgres", name, why)
	}
	return name, nil
}

// A subject is a member as the log names it.
type subject struct {
	name    string
	oid     uint32
	cluster uint64 // the server's system_identifier
}

func (s subject) String() string {
	return s.name + "#" + strconv.FormatUint(uint64(s.oid), 10) + "." + strconv.FormatUint(s.cluster, 36)
}

func parse(t access.Target, recorded string) (place, subject, error) {
	at, err := placeOf(t)
	if err != nil {
		return at, subject{}, err
	}
	name, id, _ := strings.Cut(recorded, "#")
	number, server, _ := strings.Cut(id, ".")
	oid, err := strconv.ParseUint(number, 10, 32)
	cluster, err2 := strconv.ParseUint(server, 36, 64)
	who := subject{name, uint32(oid), cluster}
	if err != nil || err2 != nil || oid == 0 || unfit(name) != "" || who.String() != recorded {
		return at, who, failure("the subject %q is not a role's name with # and its number", recorded)
	}
	return at, who, nil
}
