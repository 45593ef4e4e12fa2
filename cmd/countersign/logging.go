package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"countersign/bot/access"
)

// newLogger writes structured text in which no secret stands: neither one of
// those given, nor anything that looks like one.
func newLogger(w io.Writer, level slog.Level, secrets ...string) *slog.Logger {
	hide := hider(secrets...)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Value.Kind() {
			case slog.KindString:
				a.Value = slog.StringValue(hide(a.Value.String()))
			case slog.KindAny:
				if err, ok := a.Value.Any().(error); ok {
					a.Value = slog.StringValue(hide(err.Error()))
				} else if s, ok := a.Value.Any().(fmt.Stringer); ok {
					a.Value = slog.StringValue(hide(s.String()))
				}
			}
			return a
		},
	}))
}

// hider takes secrets out of a text: those given, and whatever looks like one.
func hider(secrets ...string) func(string) string {
	return func(s string) string {
		for _, x := range secrets {
			if len(x) > 3 {
				s = strings.ReplaceAll(s, x, "[redacted]")
			}
		}
		s, _ = access.Redact(s)
		return s
	}
}
