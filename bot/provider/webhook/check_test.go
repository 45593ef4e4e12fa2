package webhook_test

import (
	"errors"
	"strings"
	"testing"

	"countersign/bot/access"
	"countersign/bot/provider/webhook"
)

func TestCheck(t *testing.T) {
	at := func(url string, private bool) access.Target {
		return access.Target{Provider: "webhook", With: map[string]any{"url": url, "secret_env": "HOOK_SECRET", "allow_private": private}}
	}
	unset := func(c *webhook.Config) {
		c.Secret = func(string) (string, error) { return "", errors.New("it is not set") }
	}
	for name, c := range map[string]struct {
		target access.Target
		change []func(*webhook.Config)
		want   string
	}{
		"public":           {at("https://9.9.9.9/x", false), nil, ""},
		"loopback":         {at("http://localhost:1/x", true), nil, ""},
		"private":          {at("https://10.0.0.7/x", false), nil, "10.0.0.7; only public ones"},
		"private, allowed": {at("https://10.0.0.7/x", true), nil, ""},
		"by name":          {at("https://localhost/x", false), nil, "only public ones"},
		"the cloud's own":  {at("https://169.254.169.254/x", true), nil, "169.254.169.254; it is neither public nor private"},
		"no secret":        {at("https://9.9.9.9/x", false), []func(*webhook.Config){unset}, "the secret HOOK_SECRET cannot be read"},
		"no such host":     {at("https://nowhere.invalid/x", false), nil, "the host nowhere.invalid has no address"},
		"no address":       {at("ftp://9.9.9.9/x", false), nil, "only https"},
	} {
		err := provider(t, c.change...).Check(t.Context(), c.target)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
