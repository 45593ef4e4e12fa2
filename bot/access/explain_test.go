package access_test

import (
	"testing"
	"time"

	"countersign/bot/access"
)

// TestExplainAutomatic: an approval without a person is foretold from facts that
// name no rules in force.
func TestExplainAutomatic(t *testing.T) {
	onCall := called(access.Way{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"P1"}})
	duties := map[string][]access.Duty{"pagerduty": {{Person: erin, Policy: "P1", Level: 1, Schedule: "S"}}}
	for _, c := range []struct {
		name      string
		rules     *access.Rules
		requestor access.Person
		want      access.Outcome
		source    access.Source
	}{
		{"always given", policies(anyone("p", access.Way{Type: "persistent"})), erin, access.WouldBeGiven, access.ByPersistent},
		{"on call", onCall, erin, access.WouldBeGiven, access.ByOnCall},
		{"on call, for somebody else", onCall, alice, access.WouldNeedPeople, ""},
	} {
		res, _ := c.rules.Resource("admins")
		got := access.Facts{Now: time.Now(), Duties: duties}.Explain(c.rules, c.requestor, erin, res)
		if got.Outcome != c.want || got.Source != c.source {
			t.Errorf("%s: %s by %q, want %s by %q", c.name, got.Outcome, got.Source, c.want, c.source)
		}
	}
}
