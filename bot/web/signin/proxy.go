package signin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"countersign/bot/access"
)

// Proxy is the way in by a reverse proxy that signs people in itself.
//
// The proxy must remove the header from what browsers send. Whoever can connect
// from one of the addresses can be anybody: on a shared machine, 127.0.0.1 is
// every account of it.
type Proxy struct {
	// Header names the person by their e-mail address:
	// "Cf-Access-Authenticated-User-Email", "X-Forwarded-Email".
	Header string
	// From are the addresses from which the proxy connects, each an address or a
	// prefix: "10.0.0.7", "fd00::/64". Only the direct peer counts.
	From []string
}

type proxy struct {
	header string // canonical
	from   []netip.Prefix
}

func newProxy(c Proxy) (*proxy, error) {
	if !token(c.Header) || strings.EqualFold(c.Header, "Host") || strings.EqualFold(c.Header, "Cookie") {
		return nil, fmt.Errorf("signin: %q cannot be the proxy's header", c.Header)
	}
	if len(c.From) == 0 {
		return nil, errors.New("signin: no address of the proxy: nobody could be believed")
	}
	p := &proxy{header: textproto.CanonicalMIMEHeaderKey(c.Header)}
	for _, s := range c.From {
		prefix, err := parsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("signin: address of the proxy: %w", err)
		}
		if prefix.Bits() == 0 {
			return nil, fmt.Errorf("signin: address of the proxy: %s is everybody", s)
		}
		p.from = append(p.from, prefix)
	}
	return p, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap()
		return a.WithZone("").Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err == nil && p.Addr().Is4In6() {
		return p, fmt.Errorf("%s: write it as an IPv4 prefix", s)
	}
	return p.Masked(), err
}

// token reports whether a text can be the name of a header.
func token(s string) bool {
	for _, c := range []byte(s) {
		if !alnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// identify is the person whom the proxy names.
func (p *proxy) identify(r *http.Request) (Identity, *refusal) {
	values := r.Header[p.header]
	if !p.trusts(r.RemoteAddr) {
		if len(values) > 0 {
			return Identity{}, refuse(http.StatusForbidden, "The dashboard answers through its sign-in proxy only.",
				errors.New("the proxy's header came from an address that is not the proxy's"))
		}
		return Identity{}, refuse(http.StatusForbidden, "The dashboard answers through its sign-in proxy only.", errors.New("not from the proxy's address"))
	}
	if len(values) == 0 {
		return Identity{}, refuse(http.StatusForbidden, "The sign-in proxy did not say who you are.", fmt.Errorf("no header %s", p.header))
	}
	if len(values) > 1 {
		return Identity{}, refuse(http.StatusForbidden, "The sign-in proxy named several people.", fmt.Errorf("%d headers %s", len(values), p.header))
	}
	email, ok := address(values[0])
	if !ok {
		return Identity{}, refuse(http.StatusForbidden, "What the sign-in proxy sent is not an e-mail address.", fmt.Errorf("%s: %q", p.header, clip(values[0])))
	}
	return Identity{Person: access.Person{Email: email}}, nil
}

// trusts reports whether the direct peer is the proxy. What a header says about
// where a request came from is of no interest here.
func (p *proxy) trusts(peer string) bool {
	ap, err := netip.ParseAddrPort(peer)
	if err != nil {
		return false
	}
	a := ap.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(p.from, func(f netip.Prefix) bool { return f.Contains(a) })
}
