package postgres_test

import (
	"strings"
	"testing"

	"countersign/bot/access"
	"countersign/bot/provider/postgres"
)

func TestNew(t *testing.T) {
	if _, err := postgres.New(postgres.Config{}); err == nil {
		t.Error("New without an environment answers nil")
	}
	if _, err := postgres.New(postgres.Config{Getenv: env(""), MaxConns: -1}); err == nil {
		t.Error("New with fewer than no connections answers nil")
	}
}

// TestTargets: a target or subject that makes no sense asks no server, and no
// variable but one that is allowed.
func TestTargets(t *testing.T) {
	const dsn = "postgres://bot:hunter2@db/x"
	tests := []struct {
		with    map[string]any
		subject string
		says    string
	}{
		{map[string]any{"role": "r"}, "", "is no name of an environment variable"},
		{map[string]any{"dsn_env": 5, "role": "r"}, "", "is no name of an environment variable"},
		{map[string]any{"dsn_env": "db", "role": "r"}, "", "is no name of an environment variable"},
		{map[string]any{"dsn_env": "DB\nX", "role": "r"}, "", "is no name of an environment variable"},
		{map[string]any{"dsn_env": dsn, "role": "r"}, "", "never the connection string itself"},
		{map[string]any{"dsn_env": "SLACK_BOT_TOKEN", "role": "r"}, "", "SLACK_BOT_TOKEN is one of the bot's own"},
		{map[string]any{"dsn_env": "GITHUB_TOKEN", "role": "r"}, "", "one of the bot's own"},
		{map[string]any{"dsn_env": "PAGERDUTY_TOKEN", "role": "r"}, "", "one of the bot's own"},
		{map[string]any{"dsn_env": "INCIDENT_IO_API_KEY", "role": "r"}, "", "one of the bot's own"},
		{map[string]any{"dsn_env": "COUNTERSIGN_GIT_TOKEN", "role": "r"}, "", "one of the bot's own"},
		{map[string]any{"dsn_env": "DB"}, "", `role "" is empty`},
		{map[string]any{"dsn_env": "DB", "role": true}, "", `role "" is empty`},
		{map[string]any{"dsn_env": "DB", "role": strings.Repeat("r", 64)}, "", "longer than the 63 bytes"},
		{map[string]any{"dsn_env": "DB", "role": "r", "terminate": "yes"}, "", "terminate is neither true nor false"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "alice", `the subject "alice" is not`},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "alice#16385", "is not a role's name"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "alice#16385.", "is not a role's name"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "alice#0.a", "is not a role's name"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "alice#01.a", "is not a role's name"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "alice#4294967296.a", "is not a role's name"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "alice#1.A", "is not a role's name"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "#1.a", "is not a role's name"},
		{map[string]any{"dsn_env": "DB", "role": "r"}, "a#b#1.a", "is not a role's name"},
	}
	for _, tt := range tests {
		p, err := postgres.New(postgres.Config{Getenv: func(name string) string {
			t.Errorf("%v: asks for the variable %q", tt.with, name)
			return dsn
		}})
		must(t, err)
		at, subject := access.Target{Provider: "postgres", With: tt.with}, tt.subject
		if subject == "" {
			subject = "alice#1.a"
			_, err := p.Subject(t.Context(), at, access.Account{Email: "alice@example.com"})
			fails(t, err, tt.says)
		}
		has, err := p.Has(t.Context(), at, subject)
		fails(t, err, tt.says, "postgres: ")
		if has != access.Unknown || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Has = %q, %v", has, err)
		}
		fails(t, p.Grant(t.Context(), order(at, subject)), tt.says)
		fails(t, p.Revoke(t.Context(), order(at, subject)), tt.says)
	}
}

// TestReady: what is missing is known before anybody asks for the access.
func TestReady(t *testing.T) {
	for _, tt := range []struct{ dsn, says string }{
		{"postgres://bot:hunter2@localhost/x", ""},
		{"", "the environment variable DB is not set"},
		{"hunter2://", "does not hold a connection string"},
		{"postgres://bot:hunter2@db.example.com/x", "sslmode=verify-full"},
	} {
		p, err := postgres.New(postgres.Config{Getenv: env(tt.dsn)})
		must(t, err)
		err = p.Ready(access.Target{Provider: "postgres", With: map[string]any{"dsn_env": "DB", "role": "r"}})
		if (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v; want %q", tt.dsn, err, tt.says)
		}
	}
}
