package gitops_test

import (
	"bytes"
	"strings"
	"testing"

	"countersign/bot/provider/gitops"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		file, key string
		want      string
	}{
		"a list":         {teams, "teams.payments.members", ""},
		"no key yet":     {teams, "teams.billing", ""},
		"no file yet":    {"", "teams.payments.members", ""},
		"no list":        {teams, "teams.payments", "teams.payments"},
		"not YAML":       {"a: [", "teams", "access/teams.yaml"},
		"an empty level": {teams, "teams..members", "empty level"},
	} {
		w := &world{t: t, data: []byte(c.file)}
		p, err := gitops.New(gitops.Config{Editor: w})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Check(t.Context(), target(c.key, "email"))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if len(w.messages) > 0 || !bytes.Equal(w.data, []byte(c.file)) {
			t.Errorf("%s: it changes the file", name)
		}
	}
	p, err := gitops.New(gitops.Config{Editor: &world{t: t}})
	if err != nil {
		t.Fatal(err)
	}
	other := target("teams", "email")
	other.With["branch"] = "gone"
	if err := p.Check(t.Context(), other); err == nil || !strings.Contains(err.Error(), "of branch gone") {
		t.Errorf("a branch that is not there: %v", err)
	}
}
