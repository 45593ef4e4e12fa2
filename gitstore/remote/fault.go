package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// fault makes an error of a session fit to be shown: it names the remote, says
// what to do where that is known, and holds neither a secret nor anything that
// would change the terminal of its reader.
func (r *Remote) fault(ctx context.Context, err error) error {
	if throttled(err) {
		return fmt.Errorf("%s: %w", r, cmp.Or(r.held.err(), ErrThrottled))
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, ErrRefused) {
		// What broke off was broken off by us; the text would only say how.
		return fmt.Errorf("%s: %w", r, cause)
	}
	hint := ""
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		hint = "; set COUNTERSIGN_GIT_TOKEN to a token that may read and write it (for GitHub, GITHUB_TOKEN serves too)"
	case errors.Is(err, transport.ErrRepositoryNotFound):
		hint = "; where it exists, the credentials may not see it"
	}
	return &fault{text: clean(fmt.Sprintf("%s: %v%s", r, err, hint), r.secrets()), err: err}
}

// fault keeps an error for errors.Is and shows another text.
type fault struct {
	text string
	err  error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }

// clean removes secrets and control characters, and cuts what is long.
func clean(s string, secrets []string) string {
	for _, x := range secrets {
		s = strings.ReplaceAll(s, x, "[redacted]")
	}
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
	if len(s) > maxSaid {
		s = strings.ToValidUTF8(s[:maxSaid], "") + "…"
	}
	return s
}
