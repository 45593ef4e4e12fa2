package webhook

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"countersign/bot/access"
)

// Check says what would keep an order from being sent: the secret, a host that has no
// address, or none that may be called. The receiver is not called, since every call
// is an order.
func (p *Provider) Check(ctx context.Context, t access.Target) error {
	if err := p.Ready(t); err != nil {
		return err
	}
	at, err := endpointOf(t)
	if err != nil {
		return err
	}
	resolver := p.c.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	found, err := resolver.LookupNetIP(ctx, "ip", at.url.Hostname())
	if err != nil {
		return fmt.Errorf("webhook: the host %s has no address: correct the target's url: %w", at.url.Hostname(), err)
	}
	g := guard{private: at.private, plain: at.url.Scheme == "http"}
	for _, a := range found {
		if err = g.control("", netip.AddrPortFrom(a.Unmap(), 443).String(), nil); err == nil {
			return nil
		}
	}
	return fmt.Errorf("webhook: the host %s: %w", at.url.Hostname(), err)
}
