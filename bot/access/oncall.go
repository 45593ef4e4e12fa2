package access

import "time"

// A Duty is somebody's being on call, as a vendor answered at a moment. It is
// the evidence that is recorded with what rests on it.
type Duty struct {
	Person   Person    // by address, and by Slack id where the vendor knows it
	Policy   string    // id of the escalation policy; empty where there is none
	Level    int       // of the escalation policy, from 1; 0 where there are no levels
	Schedule string    // id of the schedule; empty for somebody who is named directly, permanently
	Start    time.Time // zero for permanent duties
	End      time.Time
}

// A Watch says whose duties are asked for: all that is set, together.
type Watch struct {
	Integration        string // pagerduty, incidentio
	EscalationPolicies []string
	Schedules          []string
}

// A Page calls people on call to a request.
type Page struct {
	Request            string // the key that makes a second page the same as the first
	Title              string
	Details            string
	Link               string // to the approval message
	From               string // address of a user at the vendor, where one is needed
	Services           []string
	EscalationPolicies []string
	Schedules          []string
	EscalationPath     string
}
