package remote

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// userName is sent with a token where the address names nobody. GitHub demands
// a name and looks at the token only; others are content with any.
const userName = "x-access-token"

// webHost reaches a repository over https. Connections are kept and shared by
// the sessions: a new one would cost three round trips.
type webHost struct {
	address   address
	token     func(ctx context.Context, host string) (string, error)
	transport transport.Transport

	mu   sync.Mutex
	seen []string // guarded by mu: the tokens that were used, to keep out of errors
}

func newHTTP(a address, c Config, held *hold) *webHost {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 8
	return &webHost{
		address: a, token: c.Token,
		transport: githttp.NewClientWithOptions(&http.Client{Transport: drained{base, held}},
			&githttp.ClientOptions{RedirectPolicy: githttp.NoFollowRedirects}),
	}
}

func (h *webHost) dial(ctx context.Context, service string) (line, error) {
	// The session changes its endpoint, so each has one of its own.
	ep, err := transport.NewEndpoint(address{h.address.scheme, "", h.address.host, h.address.path}.String())
	if err != nil {
		return nil, err
	}
	auth, err := h.auth(ctx)
	if err != nil {
		return nil, err
	}
	if service == transport.ReceivePackServiceName {
		s, err := h.transport.NewReceivePackSession(ep, auth)
		return &webLine{session: s, receive: s}, err
	}
	s, err := h.transport.NewUploadPackSession(ep, auth)
	return &webLine{session: s, upload: s}, err
}

// auth returns the credentials for the host; nil where there are none.
func (h *webHost) auth(ctx context.Context) (transport.AuthMethod, error) {
	if h.token == nil {
		return nil, nil
	}
	token, err := h.token(ctx, h.address.host)
	if err != nil || token == "" {
		return nil, err
	}
	user := h.address.user
	if user == "" {
		user = userName
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.seen, token) {
		h.seen = append(h.seen, token, base64.StdEncoding.EncodeToString([]byte(user+":"+token)))
		h.seen = h.seen[max(0, len(h.seen)-64):] // a remote echoes the last one, if any
	}
	return &githttp.BasicAuth{Username: user, Password: token}, nil
}

// secrets are what must stand in no error.
func (h *webHost) secrets() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.seen)
}

// webLine is a session over http: a request to learn the refs, and one to do
// something.
type webLine struct {
	session transport.Session
	upload  transport.UploadPackSession
	receive transport.ReceivePackSession
}

func (l *webLine) refs(ctx context.Context) (*packp.AdvRefs, error) {
	return l.session.AdvertisedReferencesContext(ctx)
}

func (l *webLine) fetch(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	return l.upload.UploadPack(ctx, req)
}

func (l *webLine) push(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	return l.receive.ReceivePack(ctx, req)
}

func (l *webLine) close() { _ = l.session.Close() }

// drained leaves connections fit to be used again: it reads the rest of an
// answer when that is closed, and the answer to a push at once, since go-git
// never closes it.
// What asks us to wait is an error.
type drained struct {
	http.RoundTripper
	held *hold
}

func (d drained) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := d.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := d.held.heed(res); err != nil {
		return nil, errors.Join(err, drainedBody{res.Body}.Close())
	}
	if !strings.HasSuffix(req.URL.Path, "/"+transport.ReceivePackServiceName) {
		res.Body = drainedBody{res.Body}
		return res, nil
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res, nil
}

// maxAnswer is how many bytes the answer to a push may have.
const maxAnswer = 1 << 20

type drainedBody struct{ io.ReadCloser }

func (b drainedBody) Close() error {
	_, _ = io.CopyN(io.Discard, b.ReadCloser, 4<<10)
	return b.ReadCloser.Close()
}
