package bottest

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"
)

// HistoryEnd is when the histories of [Requests] end.
var HistoryEnd = time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)

// Requests are n requests of a made-up company in the two years before
// [HistoryEnd], by filing and then by id, oldest first: 200 people, some 300
// resources of five providers, access policies, quorums, people on call, and
// threads of messages. Each is made by real decisions, about seven events each;
// some of the last are still pending or live. The same seed and number make the
// same requests.
func Requests(seed uint64, n int) []access.Request { return RequestsUntil(seed, n, HistoryEnd) }

// RequestsUntil is [Requests] with another end. It panics if the rules of access
// refuse to apply what they decided.
func RequestsUntil(seed uint64, n int, end time.Time) []access.Request {
	c, end := found(seed), end.UTC()
	times := filings(rand.New(rand.NewPCG(seed, 1)), n, end)
	out := make([]access.Request, n)
	workers := min(n, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < n; i += workers {
				out[i] = c.tell(rand.New(rand.NewPCG(seed, uint64(i)+2)), times[i], end).r
			}
		})
	}
	all.Wait()
	slices.SortFunc(out, func(a, b access.Request) int {
		return cmp.Or(a.FiledAt.Compare(b.FiledAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Events are those that make the requests of [RequestsUntil], as a log holds
// them: by time, and those of one request in their order. They are made as they
// are asked for, so that a million of them take little memory.
func Events(seed uint64, n int, end time.Time) iter.Seq[access.Event] {
	return func(yield func(access.Event) bool) {
		c, end := found(seed), end.UTC()
		times := filings(rand.New(rand.NewPCG(seed, 1)), n, end)
		var waiting eventQueue
		for i, at := range times {
			// A filing may be moved within its day, never before it.
			for day := at.Truncate(24 * time.Hour).Add(-24 * time.Hour); len(waiting) > 0 && waiting[0][0].At.Before(day); {
				if !yield(waiting.next()) {
					return
				}
			}
			t := c.tell(rand.New(rand.NewPCG(seed, uint64(i)+2)), at, end)
			if len(t.log) > 0 {
				heap.Push(&waiting, t.log)
			}
		}
		for len(waiting) > 0 {
			if !yield(waiting.next()) {
				return
			}
		}
	}
}

// eventQueue is a heap of what is left of requests, the next event on top.
type eventQueue [][]access.Event

func (q eventQueue) Len() int           { return len(q) }
func (q eventQueue) Less(i, j int) bool { return q[i][0].At.Before(q[j][0].At) }
func (q eventQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)        { *q = append(*q, x.([]access.Event)) }
func (q *eventQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// next takes the earliest event out.
func (q *eventQueue) next() access.Event {
	log := heap.Pop(q).([]access.Event)
	if len(log) > 1 {
		heap.Push(q, log[1:])
	}
	return log[0]
}

const historyDays = 730

// filings are n times of filing, ascending: more on later days and few at
// weekends and about the turn of the year. One in forty, at most sixty, is of
// the last hours, so that a short history too ends with something going on.
func filings(rng *rand.Rand, n int, end time.Time) []time.Time {
	first := end.Truncate(24*time.Hour).AddDate(0, 0, 1-historyDays)
	weights := make([]float64, historyDays)
	for i := range weights {
		day := first.AddDate(0, 0, i)
		w := (0.5 + float64(i)/historyDays) * (0.8 + 0.4*rng.Float64())
		if wd := day.Weekday(); wd == time.Saturday || wd == time.Sunday {
			w *= 0.1
		}
		if day.YearDay() > 355 || day.YearDay() < 4 {
			w *= 0.3
		}
		if rng.IntN(60) == 0 {
			w *= 2.5 // a bad day
		}
		weights[i] = w
		if i > 0 {
			weights[i] += weights[i-1]
		}
	}
	recent := min((n+39)/40, 60)
	out := make([]time.Time, 0, n)
	for len(out) < n-recent {
		i, _ := slices.BinarySearch(weights, rng.Float64()*weights[historyDays-1])
		at := first.AddDate(0, 0, i).Add(time.Duration(rng.Int64N(int64(24*time.Hour)/1e6)) * 1e6)
		if at.Before(end) {
			out = append(out, at)
		}
	}
	for len(out) < n {
		out = append(out, end.Add(-time.Duration(1+rng.Int64N(int64(6*time.Hour)/1e6))*1e6))
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// tale is one request while it is made. After the end nothing happens any more.
type tale struct {
	*company
	rng   *rand.Rand
	r     access.Request
	now   time.Time
	end   time.Time
	res   access.Resource
	who   colleague // who asks
	whose colleague // who gets it
	filed *access.Rules
	duty  map[string][]access.Duty
	log   []access.Event // what made r of nothing
}

func (c *company) tell(rng *rand.Rand, at, end time.Time) *tale {
	t := &tale{company: c, rng: rng, end: end}
	t.cast(at)
	t.file()
	t.post(access.NoticeApproval)
	if t.r.Status == access.Pending {
		t.wait()
	}
	if t.r.Status == access.Approved {
		t.grant()
	}
	if t.r.Status == access.Live {
		t.use()
	}
	if t.r.ToReview() {
		t.after(time.Duration(20+t.rng.IntN(1500)) * time.Minute)
		t.do(t.approver().Person, access.ReviewAccess{Request: t.r.ID, Text: t.fill(pick(t.rng, reviews))})
	}
	if t.r.Status.Ended() && t.chance(0.15) {
		t.after(time.Second)
		t.post(access.NoticeEnded)
	}
	return t
}

// cast says who asks for what, when. Most ask in office hours, for something
// their own team has.
func (t *tale) cast(at time.Time) {
	t.who = t.people[int(float64(len(t.people))*math.Pow(t.rng.Float64(), 1.5))]
	if clock := at.Add(t.who.east).Hour(); (clock < 8 || clock > 18) && !t.chance(0.07) {
		at = t.officeHour(at)
	}
	t.now, t.whose = at, t.who
	t.res = t.resources[int(float64(len(t.resources))*math.Pow(t.rng.Float64(), 1.3))]
	for range 4 {
		if t.res.Owner == teamNames[t.who.team] {
			break
		}
		t.res = pick(t.rng, t.resources)
	}
	if t.res.Tags["env"] == "production" && t.chance(0.06) {
		t.whose = pick(t.rng, t.people)
	}
}

// officeHour moves a time to the office hours of the same day, or, where those
// are not over at the end, to some minutes of the same hour.
func (t *tale) officeHour(at time.Time) time.Time {
	open := at.Add(t.who.east).Truncate(24 * time.Hour).Add(8*time.Hour + 30*time.Minute).Add(-t.who.east)
	// Two draws make the middle of the day busier than its ends.
	in := time.Duration(t.rng.Int64N(int64(5*time.Hour)/1e6)+t.rng.Int64N(int64(5*time.Hour)/1e6)) * 1e6
	if moved := open.Add(in); moved.Before(t.end) {
		return moved
	}
	return at
}

func (t *tale) file() {
	d := pick(t.rng, []time.Duration{30 * time.Minute, time.Hour, time.Hour, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 0})
	if t.res.Target.Provider == "github" && t.chance(0.5) {
		d = time.Duration(1+t.rng.IntN(7)) * 24 * time.Hour
	}
	if t.res.MaxDuration > 0 {
		d = min(d, t.res.MaxDuration)
	}
	ask := access.File{Resource: t.res.ID, Duration: d, Reason: t.fill(pick(t.rng, reasons))}
	if t.whose != t.who {
		ask.Principal = access.Actor{Person: t.whose.Person}
	}
	if t.res.Tags["class"] == "sensitive" || t.chance(0.55) {
		ask.Ticket = fmt.Sprintf("%s-%d", pick(t.rng, tickets), 1000+t.rng.IntN(60000))
	}
	if t.plain() && t.whose == t.who {
		ask.BreakGlass = t.chance(0.008)
		if t.chance(0.07) {
			t.duty = onCall(t.who.Person)
		}
	}
	t.filed = t.rules(t.now)
	t.do(t.who.Person, ask)
	t.duty = nil
}

// plain reports whether the resource is what teams approve for themselves.
func (t *tale) plain() bool {
	return t.res.Tags["env"] == "production" && t.res.Tags["class"] == "plain"
}

func onCall(p access.Person) map[string][]access.Duty {
	return map[string][]access.Duty{"pagerduty": {{Person: p, Policy: "PX1C4LL", Level: 1, Schedule: "PSCHED7"}}}
}

// wait is the time until somebody, or nobody, decides.
func (t *tale) wait() {
	whole := time.Duration(7 * float64(time.Minute) * math.Exp(1.5*t.rng.NormFloat64()))
	if h := t.now.Add(t.who.east).Hour(); h < 8 || h > 18 {
		whole *= 5
	}
	decided := t.now.Add(min(max(whole, 20*time.Second), 70*time.Hour))
	if t.chance(0.35) {
		t.talk(1+int(t.rng.ExpFloat64()*2), decided)
	}
	switch fate := t.rng.Float64(); {
	case fate < 0.03:
		t.remind(t.r.FiledAt.Add(3 * 24 * time.Hour))
		t.until(t.r.FiledAt.Add(3 * 24 * time.Hour))
		t.do(access.Person{}, access.TimeOut{Request: t.r.ID})
	case fate < 0.08:
		t.until(decided)
		t.do(t.who.Person, access.Cancel{Request: t.r.ID})
	case fate < 0.15:
		t.remind(decided)
		t.do(t.approver().Person, access.Deny{Request: t.r.ID, Reason: t.fill(pick(t.rng, denials))})
	default:
		t.approve(decided)
	}
}

func (t *tale) approve(decided time.Time) {
	if t.chance(0.02) { // somebody who may not
		t.do(pick(t.rng, t.people).Person, access.Approve{Request: t.r.ID, For: time.Hour})
	}
	if t.plain() && t.chance(0.04) {
		t.after(5 * time.Minute)
		t.do(t.who.Person, access.Escalate{Request: t.r.ID})
		t.post(access.NoticePage + "-pagerduty")
		by := t.other().Person
		t.duty = onCall(by)
		t.until(decided)
		t.do(by, access.Approve{Request: t.r.ID, For: t.lasts()})
		t.duty = nil
	}
	t.remind(decided)
	// A quorum takes several; who has voted, or may not, is refused.
	for range 12 {
		if t.r.Status != access.Pending {
			return
		}
		t.do(t.approver().Person, access.Approve{Request: t.r.ID, For: t.lasts()})
		t.after(time.Duration(10+t.rng.IntN(900)) * time.Second)
	}
}

// remind reminds until a moment, and lets the time pass.
func (t *tale) remind(until time.Time) {
	at := t.r.FiledAt
	for _, gap := range []time.Duration{time.Hour, 7 * time.Hour, 14 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		if at = at.Add(gap); at.Before(until) && !t.now.After(at) {
			t.until(at)
			t.do(access.Person{}, access.Remind{Request: t.r.ID})
		}
	}
	t.until(until)
}

// lasts is what an approver chooses: mostly what was asked for.
func (t *tale) lasts() time.Duration {
	if t.r.Duration > 0 && !t.chance(0.1) {
		return t.r.Duration
	}
	return min(time.Hour, cmp.Or(t.res.MaxDuration, time.Hour))
}

func (t *tale) grant() {
	id := t.r.ID
	t.after(time.Duration(1+t.rng.IntN(5)) * time.Second)
	if t.chance(0.006) {
		t.do(access.Person{}, access.Fail{Request: id, Error: "no account at the provider for " + t.whose.Email, Final: true})
		return
	}
	before := access.Absent
	if t.chance(0.01) {
		before = access.Present
	}
	t.do(access.Person{}, access.Intend{Request: id, Subject: t.whose.Email, Before: before})
	if t.chance(0.012) {
		t.trouble(1+t.rng.IntN(3), time.Minute)
	}
	t.after(time.Duration(1+t.rng.IntN(9)) * time.Second)
	if t.now.Before(t.r.Expires()) {
		t.do(access.Person{}, access.Confirm{Request: id})
	}
}

// trouble is some failures of the provider, ever further apart.
func (t *tale) trouble(n int, gap time.Duration) {
	for range n {
		t.after(gap)
		t.do(access.Person{}, access.Fail{Request: t.r.ID, Error: pick(t.rng, faults)})
		gap *= 2
	}
}

// use is the life of an access, and its end.
func (t *tale) use() {
	id := t.r.ID
	if t.chance(0.06) {
		t.talk(1+t.rng.IntN(2), t.r.Expires())
	}
	left := t.r.Expires().Sub(t.now)
	switch fate := t.rng.Float64(); {
	case fate < 0.17:
		t.after(time.Duration(float64(left) * (0.1 + 0.8*t.rng.Float64())))
		t.do(t.whose.Person, access.GiveBack{Request: id})
	case fate < 0.19:
		t.after(time.Duration(float64(left) * t.rng.Float64()))
		t.do(access.Person{Email: t.reviewers[0]}, access.Revoke{Request: id}) // refused: no Slack account
		t.do(t.approver().Person, access.Revoke{Request: id, Reason: t.fill(pick(t.rng, revocations))})
	case fate < 0.27:
		t.after(left * 8 / 10)
		t.extend(min(t.lasts(), left*8/10))
	}
	if t.r.Ending == nil {
		t.until(t.r.Expires())
		t.after(time.Duration(t.rng.IntN(5)) * time.Second)
		t.do(access.Person{}, access.Expire{Request: id})
	}
	if t.chance(0.006) {
		t.trouble(2+t.rng.IntN(7), 30*time.Second)
	}
	t.after(time.Duration(1+t.rng.IntN(20)) * time.Second)
	kept := ""
	if t.r.Grant.Before == access.Present {
		kept = "had_before"
	}
	t.do(access.Person{}, access.Finish{Request: id, Kept: kept})
}

func (t *tale) extend(by time.Duration) {
	id := t.r.ID
	t.do(t.whose.Person, access.Extend{Request: id, By: by.Truncate(time.Minute), Reason: t.fill(pick(t.rng, extensions))})
	left := t.r.Expires().Sub(t.now)
	for range 6 {
		if t.r.Extension == nil || t.chance(0.05) {
			return
		}
		t.after(time.Duration(float64(left) * 0.2 * t.rng.Float64()))
		if t.chance(0.15) {
			t.do(t.approver().Person, access.DenyExtension{Request: id, Round: t.r.Rounds, Reason: t.fill(pick(t.rng, denials))})
			continue
		}
		t.do(t.approver().Person, access.ApproveExtension{Request: id, Round: t.r.Rounds})
	}
}

// talk is some messages in the thread, all before a moment.
func (t *tale) talk(n int, before time.Time) {
	step := before.Sub(t.now) / time.Duration(n+1)
	for i := range n {
		t.after(time.Duration(float64(step) * t.rng.Float64()))
		by, ts := t.who.Person, t.ts()
		if i%2 == 0 {
			by = t.approver().Person
		}
		say := access.Say{Request: t.r.ID, TS: ts, Text: t.fill(pick(t.rng, remarks))}
		if t.chance(0.03) {
			by, say.Bot, say.Text = access.Person{}, "B0PAGER", t.fill("Incident for {service}: https://acme.pagerduty.example/incidents/{number}")
		}
		t.do(by, say)
		switch edit := t.rng.Float64(); {
		case edit < 0.05:
			t.do(by, access.EditMessage{Request: t.r.ID, TS: ts, Text: say.Text + " " + t.fill(pick(t.rng, remarks))})
		case edit < 0.07:
			t.do(by, access.DeleteMessage{Request: t.r.ID, TS: ts})
		}
	}
}

// post records a message of the bot's: in the channel, or to who asked.
func (t *tale) post(notice string) {
	p := access.Post{Notice: notice, Channel: "C0ACCESS", TS: t.ts()}
	if notice == access.NoticeEnded {
		p.To, p.Channel = t.who.Person, "D"+t.who.Slack[1:]
	}
	p.Permalink = "https://acme.slack.com/archives/" + p.Channel + "/p" + strings.Replace(p.TS, ".", "", 1)
	t.do(access.Person{}, access.Notify{Request: t.r.ID, Post: p})
}

func (t *tale) ts() string { return fmt.Sprintf("%d.%06d", t.now.Unix(), t.rng.IntN(1e6)) }

// approver is somebody who mostly may decide about the request.
func (t *tale) approver() colleague {
	among := t.teams[slices.Index(teamNames, t.res.Owner)][:3]
	if t.res.Tags["class"] == "sensitive" {
		among = t.keepers
	}
	for range 20 {
		p := t.people[pick(t.rng, among)]
		if p != t.who && p != t.whose && !slices.ContainsFunc(t.r.Votes, func(v access.Ballot) bool { return v.By == p.Person }) {
			return p
		}
	}
	return t.other()
}

// other is somebody who has no part in the request.
func (t *tale) other() colleague {
	for {
		if p := pick(t.rng, t.people); p != t.who && p != t.whose {
			return p
		}
	}
}

func (t *tale) chance(p float64) bool { return t.rng.Float64() < p }

func (t *tale) after(d time.Duration) { t.now = t.now.Add(d) }

func (t *tale) until(at time.Time) {
	if at.After(t.now) {
		t.now = at
	}
}

// rules are those in force at a moment: a new commit every twelve days.
func (t *tale) rules(at time.Time) *access.Rules {
	i := len(t.commits) - 1 - int(t.end.Sub(at)/(12*24*time.Hour+4*time.Hour))
	return t.company.rules(t.commits[max(i, 0)], t.whose, t.res)
}

// do decides and applies, and records a refusal.
func (t *tale) do(by access.Person, a access.Action) {
	if t.now.After(t.end) {
		return
	}
	f := access.Facts{
		Now: t.now, Actor: access.Actor{Person: by}, Rules: t.rules(t.now), Filed: t.filed, Duties: t.duty,
	}
	if t.r.Seq == 0 {
		f.New = ulid(t.now, t.rng)
	}
	events, err := access.Decide(f, t.r, a)
	if why, refused := access.AsRefusal(err); refused {
		events, err = access.Note(f, t.r, a, why), nil
		if t.r.Seq == 0 {
			err = why
		}
	}
	for _, e := range events {
		if err == nil {
			t.r, err = access.Apply(t.r, e)
		}
		t.log = append(t.log, e)
	}
	if err != nil {
		panic(fmt.Sprintf("a made-up history: %T: %v", a, err))
	}
}

// ulid is an id that sorts by time.
func ulid(at time.Time, rng *rand.Rand) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var id [26]byte
	ms := uint64(at.UnixMilli())
	for i := 9; i >= 0; i-- {
		id[i] = digits[ms%32]
		ms /= 32
	}
	for i := 10; i < 26; i++ {
		id[i] = digits[rng.IntN(32)]
	}
	return string(id[:])
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }
