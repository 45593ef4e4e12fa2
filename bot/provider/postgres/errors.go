package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"countersign/bot/access"
)

// A problem is an error in our own words, which say what to do. It wraps only
// what tells nothing more: the end of a context, or [access.ErrNoAccount].
type problem struct {
	text  string
	cause error
}

func (p *problem) Error() string { return "postgres: " + p.text }
func (p *problem) Unwrap() error { return p.cause }

func failure(format string, a ...any) error { return because(nil, format, a...) }

func because(cause error, format string, a ...any) error {
	return &problem{fmt.Sprintf(format, a...), cause}
}

func noAccount(format string, a ...any) error {
	p := &problem{fmt.Sprintf(format, a...), access.ErrNoAccount}
	p.text += ": " + access.ErrNoAccount.Error()
	return p
}

func isCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}

// denied explains that we may not give or end the role.
func (s state) denied(err error) error {
	if !isCode(err, "42501") {
		return err
	}
	return s.lacksOption()
}

func (s state) lacksOption() error {
	return failure("the bot's user %q may not give or end the role %q: let an administrator run %s",
		s.me.name, s.given.name, strings.Replace(s.adminOption(), "…", pgx.Identifier{s.me.name}.Sanitize(), 1))
}

// explainConnect says why there is no connection. What pgx says names the host,
// the user and the database, so none of it is used.
func explainConnect(ctx context.Context, at place, err error) error {
	if ctx.Err() != nil {
		return because(ctx.Err(), "the server of %s did not answer in time; is it running, and can it be reached from here?", at.env)
	}
	var said *pgconn.PgError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &said):
		return refused(at, said.Code)
	case errors.As(err, &dns):
		return failure("the host in %s cannot be found; correct it", at.env)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return failure("nothing listens where %s says; is the server running?", at.env)
	case errors.As(err, &cert), errors.As(err, new(x509.HostnameError)), errors.As(err, new(x509.UnknownAuthorityError)):
		return failure("the server of %s shows a certificate that is not trusted; set sslrootcert, or correct the host", at.env)
	}
	return failure("the server of %s cannot be reached, or speaks no TLS where sslmode wants it", at.env)
}

// refused says why the server itself did not let us in.
func refused(at place, code string) error {
	switch {
	case strings.HasPrefix(code, "28"):
		return failure("the server refused the sign-in with %s; correct its user and password, or pg_hba.conf", at.env)
	case code == "3D000":
		return failure("there is no database as %s names it; correct it", at.env)
	case code == "42501":
		return failure("the user of %s may not connect to its database; run GRANT CONNECT for it", at.env)
	case code == "53300":
		return failure("the server of %s has no connection left; it is tried again", at.env)
	case strings.HasPrefix(code, "57P"):
		return failure("the server of %s is starting or shutting down; it is tried again", at.env)
	}
	return failure("the server of %s refused the connection (SQLSTATE %s; its own log says more)", at.env, code)
}

// explain says why a call failed that had a connection.
func explain(ctx context.Context, at place, err error) error {
	var own *problem
	if errors.As(err, &own) {
		return err
	}
	if ctx.Err() != nil {
		return because(ctx.Err(), "the server of %s did not answer in time; nothing is known of the effect, and it is tried again", at.env)
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return failure("the connection to the server of %s broke; nothing is known of the effect, and it is tried again", at.env)
	}
	return complaint(at, said.Code)
}

// complaint explains what the server says to a statement. Its own words are not
// repeated, since they end in a log that is never erased; the code leads to them.
func complaint(at place, code string) error {
	switch {
	case code == "55P03":
		return failure("another session of the server of %s holds the lock of the role; it is tried again", at.env)
	case code == "57014":
		return failure("the server of %s took too long; it is tried again", at.env)
	case code == "23505", code == "XX000", strings.HasPrefix(code, "40"):
		return failure("somebody else changed the role %q at the same moment; it is tried again (SQLSTATE %s)", at.role, code)
	case code == "0LP01":
		return failure("the role %q cannot be given to this member, since it is itself a member of them", at.role)
	case code == "25006":
		return failure("the server of %s is read-only; name the primary", at.env)
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"):
		return failure("the server of %s is shutting down; it is tried again", at.env)
	}
	return failure("the server of %s refused (SQLSTATE %s; its own log says more)", at.env, code)
}
