package remote

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// stream is a session with a git process, here or at the other end of an ssh
// connection.
type stream struct {
	in     io.WriteCloser
	out    io.Reader
	errors *tail
	used   bool // something was asked for, so that no farewell is due

	end  func() // ends the process; reads and writes then fail
	lost func() // called when the process did not end in time; nil: nothing to do
	once sync.Once
}

// during ends the stream if ctx does while f is at work: pipes know no ctx.
func (s *stream) during(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, s.kill)
	defer stop()
	err := f()
	if err == nil {
		return nil
	}
	if text := s.errors.String(); text != "" {
		err = errors.New(text + " (" + err.Error() + ")")
	}
	return err
}

func (s *stream) kill() {
	s.once.Do(s.end)
	if s.lost != nil {
		s.lost()
	}
}

func (s *stream) close() {
	if !s.used {
		_, _ = s.in.Write(pktline.FlushPkt) // else the other side complains in its log
	}
	_ = s.in.Close()
	s.once.Do(s.end)
}

func (s *stream) refs(ctx context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	err := s.during(ctx, func() error {
		err := adv.Decode(s.out)
		if errors.Is(err, packp.ErrEmptyAdvRefs) {
			return nil // a repository without commits
		}
		return err
	})
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, err
}

func (s *stream) fetch(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	s.used = true
	res := packp.NewUploadPackResponse(req)
	stop := context.AfterFunc(ctx, s.kill)
	err := s.during(ctx, func() error {
		if err := req.UploadRequest.Encode(s.in); err != nil {
			return err
		}
		if err := req.UploadHaves.Encode(s.in, false); err != nil {
			return err
		}
		if err := pktline.NewEncoder(s.in).EncodeString("done\n"); err != nil {
			return err
		}
		return res.Decode(io.NopCloser(s.out))
	})
	return fetched{res, stop}, err
}

// fetched is the pack on its way. The stream ends with the ctx until it is
// closed.
type fetched struct {
	io.Reader
	stop func() bool
}

func (f fetched) Close() error { f.stop(); return nil }

func (s *stream) push(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	s.used = true
	report := packp.NewReportStatus()
	err := s.during(ctx, func() error {
		if err := req.Encode(s.in); err != nil {
			return err
		}
		if err := s.in.Close(); err != nil {
			return err
		}
		var out io.Reader = s.out
		if req.Capabilities.Supports(capability.Sideband64k) {
			d := sideband.NewDemuxer(sideband.Sideband64k, out)
			d.Progress = req.Progress
			out = d
		}
		return report.Decode(out)
	})
	if err != nil {
		return nil, err
	}
	return report, nil
}

// startGit starts a service of the git of this machine.
func startGit(service, path string) (line, error) {
	cmd := exec.Command("git", strings.TrimPrefix(service, "git-"), path)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GIT_") { // GIT_DIR and the like mean another repository
			cmd.Env = append(cmd.Env, kv)
		}
	}
	s := &stream{errors: &tail{}}
	cmd.Stderr = s.errors
	var err error
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if s.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.end = func() {
		_ = s.in.Close()
		_ = cmd.Process.Kill() // it has answered, or never will
		_ = cmd.Wait()
	}
	return s, nil
}

// tail keeps the beginning of what a process complains about.
type tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[:min(len(p), maxSaid-len(t.text))]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
