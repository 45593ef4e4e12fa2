package webhook

import (
	"errors"
	"net/netip"
	"testing"
)

// TestPermits names each kind of address, and who may call it.
func TestPermits(t *testing.T) {
	const (
		never   = ""
		private = "private"
		plain   = "private http"
		public  = "public private"
	)
	tests := []struct{ address, want string }{
		{"8.8.8.8", public}, {"192.0.1.1", public}, {"172.32.0.1", public}, {"100.128.0.1", public}, {"2606:4700::1111", public}, {"2a00:1450::1", public},
		{"127.0.0.1", plain}, {"127.255.255.254", plain}, {"::1", plain},
		{"10.0.0.1", private}, {"172.16.0.1", private}, {"172.31.255.255", private}, {"192.168.1.1", private},
		{"100.64.0.1", private}, {"100.127.255.255", private}, {"fc00::1", private}, {"fdff::1", private},
		{"64:ff9b::8.8.8.8", private}, {"64:ff9b::10.0.0.1", private},
		{"64:ff9b::169.254.169.254", never}, {"64:ff9b:1::8.8.8.8", never},
		{"169.254.169.254", never}, {"169.254.0.1", never}, {"fe80::1", never}, {"fe80::1%eth0", never}, {"::1%lo", never}, {"fec0::1", never},
		{"100.100.100.200", never}, {"168.63.129.16", never}, {"fd00:ec2::254", never}, {"fd20:ce::254", never},
		{"0.0.0.0", never}, {"0.1.2.3", never}, {"::", never}, {"255.255.255.255", never}, {"240.0.0.1", never},
		{"224.0.0.1", never}, {"239.255.255.255", never}, {"ff02::1", never}, {"192.0.0.192", never},
		{"192.0.2.1", never}, {"198.51.100.1", never}, {"203.0.113.1", never}, {"198.18.0.1", never}, {"198.19.255.255", never},
		{"192.88.99.1", never}, {"2001:db8::1", never}, {"3fff::1", never}, {"100::1", never}, {"5f00::1", never},
		{"::ffff:8.8.8.8", never}, {"::ffff:127.0.0.1", never}, {"::ffff:10.0.0.1", never}, {"::127.0.0.1", never}, {"::8.8.8.8", never},
		{"2002:7f00:1::", never}, {"2001:0:7f00:1::", never}, {"2001:20::1", never},
	}
	for _, tt := range tests {
		a := netip.MustParseAddr(tt.address)
		for name, g := range map[string]struct {
			guard guard
			want  bool
		}{
			"public":  {guard{}, tt.want == public},
			"private": {guard{private: true}, tt.want != never},
			"http":    {guard{private: true, plain: true}, tt.want == plain},
		} {
			if got := g.guard.permits(a); got != g.want {
				t.Errorf("%s, target %s: permitted %t, want %t", a, name, got, g.want)
			}
		}
	}
}

// TestControl: what is no address cannot be dialled either.
func TestControl(t *testing.T) {
	for _, address := range []string{"", "localhost:443", "10.0.0.1", "[fe80::1%eth0]:443", "/run/docker.sock"} {
		if err := (guard{private: true}).control("tcp", address, nil); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if err := (guard{}).control("tcp", "8.8.8.8:443", nil); err != nil {
		t.Error(err)
	}
}

// TestSign is the vector that the Standard Webhooks libraries test themselves by.
func TestSign(t *testing.T) {
	p := &Provider{Config{Secret: func(string) (string, error) { return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", nil }}}
	s, err := p.secret("X")
	if err != nil {
		t.Fatal(err)
	}
	got := s.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}
