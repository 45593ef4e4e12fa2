package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// ErrRefused says that the remote answered and did not take a push: a hook, a
// protected branch, or a ref that has moved. Nothing of it was written.
var ErrRefused = errors.New("the remote refused the push")

const (
	// patience is how long the remote may take to begin its answer, unless set otherwise.
	patience = 10 * time.Second
	// stall is how long a transfer may stand still.
	stall = 30 * time.Second
	// maxSaid is how much of what a remote says is kept for people.
	maxSaid = 2000
)

// Config says where a remote is and how to prove who we are.
type Config struct {
	URL string // see the package comment

	// Token returns the password for a host ("git.example.com", with the port
	// if the address has one), empty for none. It is asked at each session, so
	// that tokens may be short-lived. Nil: there are none.
	Token func(ctx context.Context, host string) (string, error)

	// KeyFile is the private key for ssh, unencrypted, in OpenSSH's format.
	KeyFile string
	// KnownHosts are the files with the keys of hosts; nil means those of the
	// user and of the machine. A host that is in none of them is not spoken to.
	KnownHosts []string

	// Patience is how long the remote may take to begin its answer; 0 means 10 s.
	Patience time.Duration
}

// Remote is a repository elsewhere. It is safe for use by several goroutines.
type Remote struct {
	address address
	config  Config
	dial    func(ctx context.Context, service string) (line, error)
	secrets func() []string // what must stand in no error
	close   func()
	held    hold
}

// line is one session of one service, upload-pack or receive-pack. Whatever it
// does ends when its ctx does.
type line interface {
	refs(context.Context) (*packp.AdvRefs, error)
	fetch(context.Context, *packp.UploadPackRequest) (io.ReadCloser, error)
	push(context.Context, *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error)
	close()
}

// New returns a remote. It contacts nobody.
func New(c Config) (*Remote, error) {
	a, err := parseAddress(c.URL)
	if err != nil {
		return nil, err
	}
	r := &Remote{address: a, config: c, secrets: func() []string { return nil }, close: func() {}}
	switch a.scheme {
	case "ssh":
		s := &sshHost{address: a, config: c}
		r.dial, r.close = s.dial, s.drop
	case "file":
		r.dial = func(_ context.Context, service string) (line, error) { return startGit(service, a.path) }
	default:
		h := newHTTP(a, c, &r.held)
		r.dial, r.secrets = h.dial, h.secrets
	}
	return r, nil
}

// String returns the address, without a secret.
func (r *Remote) String() string { return r.address.String() }

// Held is how long the remote still wants to be left alone; 0 for not at all. A session
// that is begun before fails with [ErrThrottled].
func (r *Remote) Held() time.Duration { return r.held.left() }

// Close ends what is kept open for later sessions.
func (r *Remote) Close() { r.close() }

// Refs are the branches and other refs of a remote, by full name, with the ids
// (40 hexadecimal digits) of what they name.
type Refs map[string]string

// session is what a pull and a push have in common.
type session struct {
	// Refs are as they were when the session began.
	Refs Refs

	remote *Remote
	line   line
	adv    *packp.AdvRefs
}

// Close ends the session.
func (s *session) Close() { s.line.close() }

func (r *Remote) begin(ctx context.Context, service string) (*session, error) {
	if err := r.held.err(); err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	wait := cmp.Or(r.config.Patience, patience)
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("no answer within %v", wait))
	defer cancel()
	l, err := r.dial(ctx, service)
	if err != nil {
		return nil, r.fault(ctx, err)
	}
	adv, err := l.refs(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		adv, err = packp.NewAdvRefs(), nil
	}
	if err == nil && len(adv.Shallows) > 0 {
		err = errors.New("it is a shallow clone: its history has gaps")
	}
	if err != nil {
		l.close()
		return nil, r.fault(ctx, err)
	}
	s := &session{Refs: make(Refs, len(adv.References)), remote: r, line: l, adv: adv}
	for name, id := range adv.References {
		s.Refs[name] = id.String()
	}
	return s, nil
}

// Pull is a session that reads.
type Pull struct{ *session }

// Pull begins one.
func (r *Remote) Pull(ctx context.Context) (*Pull, error) {
	s, err := r.begin(ctx, transport.UploadPackServiceName)
	if err != nil {
		return nil, err
	}
	return &Pull{s}, nil
}

// Fetch writes to w one pack with all that is needed for some commits by
// somebody who has others already. The pack is complete in itself. It is for
// the caller to check it.
func (p *Pull) Fetch(ctx context.Context, want, have []string, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req := packp.NewUploadPackRequest()
	for _, c := range []capability.Capability{capability.Sideband64k, capability.OFSDelta} {
		if p.adv.Capabilities.Supports(c) {
			req.Capabilities.Set(c)
		}
	}
	for _, id := range want {
		req.Wants = append(req.Wants, plumbing.NewHash(id))
	}
	for _, id := range have {
		req.Haves = append(req.Haves, plumbing.NewHash(id))
	}
	watch := &watched{cancel: cancel}
	defer watch.stop()
	watch.start()
	body, err := p.line.fetch(ctx, req)
	if err != nil {
		return p.remote.fault(ctx, err)
	}
	defer body.Close()
	watch.Reader = body
	var pack io.Reader = watch
	if req.Capabilities.Supports(capability.Sideband64k) {
		pack = sideband.NewDemuxer(sideband.Sideband64k, watch)
	}
	if _, err := io.Copy(w, pack); err != nil {
		return p.remote.fault(ctx, err)
	}
	return nil
}

// watched is a reader that gives up where nothing comes any more.
type watched struct {
	io.Reader
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (w *watched) start() {
	w.timer = time.AfterFunc(stall, func() { w.cancel(fmt.Errorf("nothing came for %v", stall)) })
}

func (w *watched) stop() { w.timer.Stop() }

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(stall)
	return w.Reader.Read(p)
}

// Push is a session that moves one ref.
type Push struct{ *session }

// Push begins one.
func (r *Remote) Push(ctx context.Context) (*Push, error) {
	s, err := r.begin(ctx, transport.ReceivePackServiceName)
	if err != nil {
		return nil, err
	}
	return &Push{s}, nil
}

// Send moves a ref from one commit to another, if it still is at the first. A
// zero id (40 zeros) as the first means that it must not exist. The pack, in
// parts, holds what the remote lacks. After nil the remote has it; after
// [ErrRefused] and [ErrThrottled] nothing was moved; after any other error that is
// not known.
func (p *Push) Send(ctx context.Context, ref, old, new string, pack ...[]byte) error {
	req := packp.NewReferenceUpdateRequestFromCapabilities(p.adv.Capabilities)
	if !req.Capabilities.Supports(capability.ReportStatus) {
		return fmt.Errorf("%s: %w: it does not report what becomes of a push", p.remote, ErrRefused)
	}
	var said said
	if p.adv.Capabilities.Supports(capability.Sideband64k) {
		req.Capabilities.Set(capability.Sideband64k)
		req.Progress = &said
	}
	req.Commands = []*packp.Command{{Name: plumbing.ReferenceName(ref), Old: plumbing.NewHash(old), New: plumbing.NewHash(new)}}
	readers := make([]io.Reader, len(pack))
	for i, part := range pack {
		readers[i] = bytes.NewReader(part)
	}
	req.Packfile = io.NopCloser(io.MultiReader(readers...))
	report, err := p.line.push(ctx, req)
	// Only a whole report is a no: of one that broke off, the rest is not known.
	if report != nil && report.Error() != nil {
		return p.remote.fault(ctx, fmt.Errorf("%w: %w%s", ErrRefused, report.Error(), said.suffix()))
	}
	if err == nil && (report == nil || !confirms(report, ref)) {
		err = errors.New("the remote did not say what became of the push")
	}
	if err != nil {
		return p.remote.fault(ctx, err)
	}
	return nil
}

// confirms reports whether a report says that the ref was moved.
func confirms(report *packp.ReportStatus, ref string) bool {
	for _, s := range report.CommandStatuses {
		if string(s.ReferenceName) == ref && s.Error() == nil {
			return true
		}
	}
	return false
}

// said keeps the beginning of what a remote says beside its answer, such as the
// words of a hook.
type said struct{ text strings.Builder }

func (s *said) Write(p []byte) (int, error) {
	s.text.Write(p[:min(len(p), maxSaid-s.text.Len())])
	return len(p), nil
}

func (s *said) suffix() string {
	if text := strings.TrimSpace(s.text.String()); text != "" {
		return " (" + text + ")"
	}
	return ""
}
