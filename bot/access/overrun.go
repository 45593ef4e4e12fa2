package access

import (
	"fmt"
	"strings"
	"time"
)

// NoticeOverdue tells that an access outlives its end. The step that the
// overrun has reached follows it: it is told again, and to more people, the
// longer it lasts.
const NoticeOverdue = "overdue"

// overrunSteps are how long an access is over its end when that is told: after
// 5 minutes to the people in it and to who approved it, from an hour on also in
// the approval channel. After the last step it is told each day.
var overrunSteps = []time.Duration{Grace, time.Hour, 6 * time.Hour, 24 * time.Hour}

// Outlived is how long an access has outlived, or did outlive, its end. It is 0
// for what was never given or was left in place at the end.
func (r Request) Outlived(now time.Time) time.Duration {
	if r.Grant == nil || r.Expires().IsZero() {
		return 0
	}
	if r.End != nil {
		if r.End.Kept != "" {
			return 0
		}
		now = r.End.At
	}
	return max(0, now.Sub(r.Expires()))
}

// overrunStep is the step that an overrun has reached; 0 for what is in time.
func overrunStep(over time.Duration) int {
	n := 0
	for n < len(overrunSteps) && over >= overrunSteps[n] {
		n++
	}
	if last := overrunSteps[len(overrunSteps)-1]; over >= last {
		n += int((over - last) / (24 * time.Hour))
	}
	return n
}

// overdue are the notices of an access that outlives its end. Of one that has
// ended meanwhile, those who approved it are told if nobody told them before:
// for the people in it, that it ended says all.
func (r Request) overdue(now time.Time) []Notice {
	step := overrunStep(r.Outlived(now))
	if step == 0 {
		return nil
	}
	var out []Notice
	name := fmt.Sprintf("%s-%d", NoticeOverdue, step)
	told := r.concerned()
	if r.Status.Ended() {
		for _, p := range told[len(r.audience()):] {
			if !r.toldOf(NoticeOverdue, p) {
				out = append(out, Notice{name, p})
			}
		}
		return out
	}
	for _, p := range told {
		out = append(out, Notice{name, p})
	}
	if step > 1 {
		out = append(out, Notice{name, Person{}})
	}
	return out
}

// toldOf reports whether somebody got any notice of a kind.
func (r Request) toldOf(kind string, to Person) bool {
	for _, p := range r.Posts {
		if strings.HasPrefix(p.Notice, kind+"-") && p.To.Slack == to.Slack {
			return true
		}
	}
	return false
}

// An Alarm is what the operators are woken for. The zero Alarm is silence.
type Alarm struct {
	Severity string // warning, error or critical
	Summary  string // one line
}

const (
	// alarmPatience is how long a grant may fail before that is an alarm: most
	// failures are gone with the next try. An end that fails is one at once.
	alarmPatience = 5 * time.Minute
	errorAfter    = Grace // of an overrun
	criticalAfter = time.Hour
)

// Severity says whether a request is a reason to wake the operators, and how bad
// it is: a grant that keeps failing, an end that fails, an access that outlives
// its end. It is empty for what is none.
func Severity(r Request, now time.Time) string {
	if r.Status.Ended() {
		return ""
	}
	f := r.Failure
	switch over := r.Outlived(now); {
	case over >= criticalAfter:
		return "critical"
	case over >= errorAfter:
		return "error"
	case f != nil && !f.Waiting && (f.Revoking || now.Sub(f.Since) >= alarmPatience):
		return "warning"
	}
	return ""
}

// AlarmOf is the alarm of that severity.
func AlarmOf(r Request, now time.Time) Alarm {
	a := Alarm{Severity: Severity(r, now)}
	if a.Severity == "" {
		return a
	}
	over, f := r.Outlived(now), r.Failure
	var what string
	switch {
	case over >= criticalAfter:
		what = "has outlived its end by more than " + Spell(over.Truncate(time.Hour))
	case over >= errorAfter:
		what = "has outlived its end, " + r.Expires().UTC().Format(time.RFC3339)
	case f.Revoking:
		what = "cannot be ended so far"
	default:
		what = "cannot be given so far"
	}
	a.Summary = fmt.Sprintf("access of %s to %s %s (request %s)", r.Principal.Email, r.Resource, what, r.ID)
	if f != nil {
		a.Summary += ": " + f.Error
	}
	a.Summary = Clean(strings.Join(strings.Fields(a.Summary), " "), 1000)
	return a
}

// The posts that record alarms: what was raised, and that it was resolved when
// the request had ended.
const (
	NoticeAlarm   = "alarm"
	alarmRaised   = NoticeAlarm + "-"
	alarmResolved = NoticeAlarm + "-resolved"
)

// Raised is the record of an alarm, and Resolved that of its end. The channel
// names who was told.
func (a Alarm) Raised(request, channel string) Notify {
	return Notify{Request: request, Post: Post{Notice: alarmRaised + a.Severity, Channel: channel, TS: request}}
}

// Resolved records that nothing is left to wake anybody for.
func Resolved(request, channel string) Notify {
	return Notify{Request: request, Post: Post{Notice: alarmResolved, Channel: channel, TS: request}}
}

// Alarmed reports whether an alarm was raised for a request that was not
// resolved after its end.
func Alarmed(r Request) bool {
	raised := false
	for _, p := range r.Posts {
		if p.Notice == alarmResolved {
			return false
		}
		raised = raised || strings.HasPrefix(p.Notice, alarmRaised)
	}
	return raised
}
