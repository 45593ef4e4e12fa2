package pagerduty_test

import (
	"testing"
	"time"

	"countersign/bot/oncall/oncalltest"

	"github.com/google/go-cmp/cmp"
)

func TestMissing(t *testing.T) {
	pd := oncalltest.NewPagerDuty(oncalltest.PagerDutyConfig{Token: token, Complain: t.Errorf})
	pd.AddService("PSVC123", "PABC123")
	pd.SetOnCalls(oncalltest.OnCall{User: "PU1", Email: "alice@example.com", Policy: "PDEF456", Level: 1, Schedule: "S1", Start: time.Now()})
	c := client(t, oncalltest.Transport(pd))
	got, err := c.Missing(t.Context(), []string{"PABC123", "PNONE", "PDEF456"}, []string{"S1", "S/2"}, []string{"PSVC123", "PABC123"})
	want := []string{"escalation policy PNONE", "schedule S/2", "service PABC123"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	pd.Fail(oncalltest.HTML("GET /services/PSVC123"))
	if got, err := c.Missing(t.Context(), nil, nil, []string{"PSVC123"}); got != nil || err == nil {
		t.Errorf("where PagerDuty cannot tell: got %v, %v", got, err)
	}
}
