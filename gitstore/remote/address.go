package remote

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// scpLike is git@host:path, the short form of an ssh address.
var scpLike = regexp.MustCompile(`^(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\]):([^:].*)$`)

// IsURL reports whether s is the address of a remote rather than a path on this
// machine. As git does, it takes "host:path" for a path where there is such a
// file, or a slash before the colon.
func IsURL(s string) bool {
	if scheme, _, ok := strings.Cut(s, "://"); ok && regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`).MatchString(scheme) {
		return true
	}
	if filepath.IsAbs(s) || !scpLike.MatchString(s) {
		return false
	}
	_, err := os.Lstat(s)
	return err != nil
}

// Host returns the host, with its port if it has one, of an address that takes
// a token; empty for every other.
func Host(s string) string {
	if !IsURL(s) {
		return ""
	}
	a, err := parseAddress(s)
	if err != nil || a.scheme != "https" && a.scheme != "http" {
		return ""
	}
	return a.host
}

// Hostname returns the host, without a port, of an address of any kind; empty for
// a path, and for what is no address.
func Hostname(s string) string {
	if !IsURL(s) {
		return ""
	}
	a, err := parseAddress(s)
	if err != nil || a.scheme == "file" {
		return ""
	}
	return strings.ToLower(a.hostname())
}

// address is a parsed one.
type address struct {
	scheme string // https, http, ssh, file
	user   string
	host   string // with the port, if one is given; never for file
	path   string
}

// parseAddress refuses what it cannot reach safely. Its errors never repeat a
// password.
func parseAddress(s string) (address, error) {
	if !strings.Contains(s, "://") {
		m := scpLike.FindStringSubmatch(s)
		if m == nil {
			return address{}, errors.New("not an address of a git repository")
		}
		return address{"ssh", m[1], m[2], m[3]}.check()
	}
	u, err := url.Parse(s)
	if err != nil {
		return address{}, errors.New("not an address of a git repository") // the error would repeat it
	}
	if _, has := u.User.Password(); has {
		return address{}, fmt.Errorf("the address of %s has a password in it, which would end up in logs and in the list of processes: put it into COUNTERSIGN_GIT_TOKEN", u.Host)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return address{}, fmt.Errorf("the address of %s has more than a path", u.Host)
	}
	return address{strings.ToLower(u.Scheme), u.User.Username(), strings.ToLower(u.Host), u.Path}.check()
}

func (a address) check() (address, error) {
	switch {
	case a.path == "" || a.path == "/":
		return a, errors.New("the address has no path")
	case strings.HasPrefix(a.host, "-") || strings.HasPrefix(a.path, "-") || strings.HasPrefix(a.user, "-"):
		return a, errors.New("a part of the address looks like an option")
	case a.scheme == "file" && a.host != "" && a.host != "localhost":
		return a, errors.New("a file address has no host; write file:///path")
	case a.scheme == "file":
		a.host = ""
		return a, nil
	case a.host == "":
		return a, errors.New("the address has no host")
	case a.scheme == "http" && !isLoopback(a.hostname()):
		return a, fmt.Errorf("%s is reached by plain http, where anybody on the way can read and change the log: use https (http is for loopback only)", a.host)
	case a.scheme == "http", a.scheme == "https", a.scheme == "ssh":
		return a, nil
	}
	return a, fmt.Errorf("%s:// is not supported; use https://, ssh:// or file://", a.scheme)
}

func (a address) hostname() string {
	if host, _, err := net.SplitHostPort(a.host); err == nil {
		return host
	}
	return strings.Trim(a.host, "[]")
}

// port returns the host with a port, for dialling.
func (a address) dial(port string) string {
	if _, p, err := net.SplitHostPort(a.host); err == nil && p != "" {
		port = p
	}
	return net.JoinHostPort(a.hostname(), port)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String is the address as people know it, without a secret.
func (a address) String() string {
	u := url.URL{Scheme: a.scheme, Host: a.host, Path: a.path}
	if a.user != "" {
		u.User = url.User(a.user)
	}
	if a.scheme == "ssh" && !strings.HasPrefix(a.path, "/") {
		return strings.TrimPrefix(u.User.String()+"@"+a.host+":"+a.path, "@")
	}
	return u.String()
}
