package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrAddress is wrapped by the error of a call to an address that may not be
// called. No connection was made.
var ErrAddress = errors.New("this address may not be called")

// A guard decides which addresses may be dialled.
type guard struct {
	private bool // the target says allow_private
	plain   bool // http: to loopback only
}

// control is called for each address before it is dialled, after the name was
// resolved: what a name resolved to at any other time does not count.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrAddress, address)
	}
	if !g.permits(at.Addr()) {
		hint := "only public ones, unless the target says allow_private: true"
		if g.private {
			hint = "it is neither public nor private, or not loopback for http"
		}
		return fmt.Errorf("%w: %s; %s", ErrAddress, at.Addr(), hint)
	}
	return nil
}

func (g guard) permits(a netip.Addr) bool {
	switch {
	case never(a):
		return false
	case g.plain:
		return a.IsLoopback()
	case public(a):
		return true
	case !g.private:
		return false
	case within(a, "64:ff9b::/96"): // NAT64: what it leads to counts
		b := a.As16()
		return g.permits(netip.AddrFrom4([4]byte(b[12:])))
	}
	return within(a, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "fc00::/7", "::1/128")
}

// never is true of addresses that are written to deceive, and of those where
// clouds hand out credentials (the link-local ones are not private either).
func never(a netip.Addr) bool {
	return a.Is4In6() || a.Zone() != "" || within(a, "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128")
}

// public is true of addresses that belong to the public Internet: not of those
// that the IANA registries of special-purpose addresses set apart.
func public(a netip.Addr) bool {
	if a.Is4() {
		return !within(a, "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
			"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
			"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")
	}
	// Teredo (in 2001::/23) and 6to4 (2002::/16) lead to an IPv4 address.
	return within(a, "2000::/3") && !within(a, "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
}

func within(a netip.Addr, prefixes ...string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}
