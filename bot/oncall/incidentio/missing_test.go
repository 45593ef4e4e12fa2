package incidentio_test

import (
	"testing"
	"time"

	"countersign/bot/oncall/oncalltest"

	"github.com/google/go-cmp/cmp"
)

func TestMissing(t *testing.T) {
	at := oncalltest.NewIncidentIO(oncalltest.IncidentIOConfig{Token: token, Complain: t.Errorf})
	at.SetSchedules(oncalltest.Schedule{ID: "01HXYZ", Name: "Primary"})
	at.AddPath("01HABC")
	c := client(t, oncalltest.Transport(at), time.Now)
	got, err := c.Missing(t.Context(), []string{"01HXYZ", "01HNONE"}, []string{"01HABC", "01HXYZ"})
	want := []string{"schedule 01HNONE", "escalation path 01HXYZ"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	at = oncalltest.NewIncidentIO(oncalltest.IncidentIOConfig{Token: token, Roles: []string{"escalation_creator"}, Complain: t.Errorf})
	if got, err := client(t, oncalltest.Transport(at), time.Now).Missing(t.Context(), []string{"01HXYZ"}, nil); got != nil || err == nil {
		t.Errorf("where the key may not read schedules: got %v, %v", got, err)
	}
}
