package github_test

import (
	"errors"
	"strings"
	"testing"

	"countersign/bot/access"
)

func TestCheck(t *testing.T) {
	scopes := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		target access.Target
		change func(h *hub)
		want   string // "" : nothing; a part of the error
		unsure bool
	}{
		"an owner's token":          {team("search", ""), func(h *hub) { h.Self = 106 }, "", false},
		"a maintainer's token":      {team("search", ""), func(h *hub) { h.Self = 103 }, "", false},
		"a member's token":          {team("search", ""), func(h *hub) { h.Self = 101 }, "neither an owner of acme nor a maintainer", false},
		"a stranger's token":        {team("search", ""), func(h *hub) { h.Self = 104 }, "does not tell", true},
		"an App":                    {team("search", ""), func(h *hub) {}, "does not tell", true},
		"a classic token":           {team("search", ""), func(h *hub) { h.Self, h.Scopes = 106, scopes("repo, admin:org") }, "", false},
		"a classic token for repos": {team("search", ""), func(h *hub) { h.Self, h.Scopes = 106, scopes("repo, read:org") }, "lacks the scope admin:org", false},
		"no such team":              {team("gone", ""), func(h *hub) { h.Self = 106 }, "there is no such team", false},
		"nothing is seen":           {team("search", ""), func(h *hub) { h.Self, h.Blind = 106, true }, "the token does not see it", false},
		"no target":                 {team("", ""), func(h *hub) {}, "neither a team nor a repo", false},
		"an admin of the repo":      {repository("payments", "pull"), func(h *hub) { h.Self = 106 }, "", false},
		"a reader of the repo":      {repository("payments", "pull"), func(h *hub) { h.Self = 101 }, "may not administer", false},
		"an App at the repo":        {repository("payments", "pull"), func(h *hub) {}, "does not tell", true},
		"no such repo":              {repository("gone", "pull"), func(h *hub) { h.Self = 106 }, "there is no such repository, or the token does not see it", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.Do(func() { c.change(h) })
			p := provider(t, h)
			err := p.Check(within(t), c.target)
			if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if errors.Is(err, errors.ErrUnsupported) != c.unsure {
				t.Errorf("%v: unsure, or not", err)
			}
			if made := changes(h.Reset()); len(made) > 0 {
				t.Errorf("it changes something: %v", made)
			}
		})
	}
}
