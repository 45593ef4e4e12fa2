package slackapp_test

import (
	"testing"
	"time"

	"countersign/bot/slacksim"
)

// BenchmarkClick measures a refused click in the local Slack: the operation is from
// the press to Slack's having the acknowledgement; ack-p50 and ack-p99 are the app's
// own part of that.
func BenchmarkClick(b *testing.B) {
	s := start(b)
	s.command("alice", "/access request db/orders 1h why")
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 1 })
	m := s.message(s.book.Requests()[0].ID)
	for b.Loop() {
		if err := s.slack.As("dan").Click(slacksim.InMessage(channel, m.TS), "", "approve"); err != nil {
			b.Fatal(err)
		}
	}
	stats := s.app.Stats()
	b.ReportMetric(float64(stats.AckP50)/float64(time.Microsecond), "ack-p50-µs")
	b.ReportMetric(float64(stats.AckP99)/float64(time.Microsecond), "ack-p99-µs")
}
