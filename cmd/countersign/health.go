package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"countersign/bot/access"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health answers /healthz, /readyz and /metrics.
func (v *service) health() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if err := v.ready(ctx); err != nil {
			v.log.Debug("not ready", "err", err)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	reg := prometheus.NewRegistry()
	reg.MustRegister(metrics{v}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	return mux
}

// ready says what keeps the bot from deciding: Slack, the log, or the rules.
func (v *service) ready(ctx context.Context) error {
	if err := v.app.Ready(); err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	if _, err := v.ledger.Sync(ctx); err != nil { // reads, and folds what is new
		return fmt.Errorf("log: %w", err)
	}
	if v.rules.Current() == nil {
		return fmt.Errorf("no configuration is loaded")
	}
	return nil
}

// metrics are counted when they are asked for: the log is the truth, a counter
// beside it could only differ.
type metrics struct{ v *service }

var (
	metricOpen = prometheus.NewDesc("countersign_open_requests", "Requests that have not ended, by status.", []string{"status"}, nil)
	metricOver = prometheus.NewDesc("countersign_overdue_revocations", "Accesses that are past their expiry and not yet ended.", nil, nil)
	metricLate = prometheus.NewDesc("countersign_overdue_seconds", "How long the oldest of them is overdue.", nil, nil)
	metricFail = prometheus.NewDesc("countersign_failing", "Requests of which an effect fails and is tried again, by effect.", []string{"effect"}, nil)
	metricOld  = prometheus.NewDesc("countersign_failing_seconds", "How long the oldest of these failures lasts.", nil, nil)
	metricAcks = prometheus.NewDesc("countersign_slack_acks_total", "Deliveries of Slack that were acknowledged.", nil, nil)
	metricConn = prometheus.NewDesc("countersign_slack_reconnects_total", "Connections to Slack that were made anew.", nil, nil)
	metricCall = prometheus.NewDesc("countersign_slack_calls_total", "Calls of Slack's Web API, by outcome.", []string{"outcome"}, nil)
)

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	now, open, over, late := time.Now(), map[access.Status]int{access.Pending: 0, access.Approved: 0, access.Live: 0, access.Failed: 0}, 0, 0.0
	failing, oldest := map[string]int{"grant": 0, "revoke": 0}, 0.0
	for _, r := range m.v.ledger.Open() {
		if !r.Status.Ended() {
			open[r.Shown()]++
		}
		if f := r.Failure; f != nil && !f.Waiting {
			effect := "grant"
			if f.Revoking {
				effect = "revoke"
			}
			failing[effect]++
			oldest = max(oldest, now.Sub(f.Since).Seconds())
		}
		if end := r.Expires(); !r.Status.Ended() && !end.IsZero() && now.After(end) {
			over++
			late = max(late, now.Sub(end).Seconds())
		}
	}
	gauge := func(d *prometheus.Desc, x float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, labels...)
	}
	count := func(d *prometheus.Desc, x float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, x, labels...)
	}
	for status, n := range open {
		gauge(metricOpen, float64(n), string(status))
	}
	for effect, n := range failing {
		gauge(metricFail, float64(n), effect)
	}
	gauge(metricOld, oldest)
	gauge(metricOver, float64(over))
	gauge(metricLate, late)
	stats := m.v.app.Stats()
	count(metricAcks, float64(stats.Acks))
	count(metricConn, float64(stats.Connects))
	count(metricCall, float64(stats.Calls-stats.CallErrors), "ok")
	count(metricCall, float64(stats.CallErrors), "error")
}
