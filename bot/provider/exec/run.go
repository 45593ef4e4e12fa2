package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"sync"
	"syscall"
	"time"
)

// waitDelay is how long the output is waited for once the group was killed. Only
// who left the group can still hold it.
const waitDelay = 3 * time.Second

// environment is all that a program gets.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "TZ=UTC"}
}

// run runs the program and answers what it wrote. A crash of the bot meanwhile
// leaves the program to its work; the bot asks again later.
func (c command) run(ctx context.Context, input []byte) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, problems := &output{full: cancel}, &tail{}
	cmd := osexec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Env = c.dir, environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, problems
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = waitDelay
	var g group
	cmd.Cancel = func() error { return g.kill(cmd.Process.Pid, false) }
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.ENOEXEC) {
			return nil, fmt.Errorf("begin the script with a line such as #!/bin/sh: %w", err)
		}
		return nil, err
	}
	if ended(cmd.Process.Pid) {
		g.kill(cmd.Process.Pid, true)
	}
	err := cmd.Wait()
	if errors.Is(err, osexec.ErrWaitDelay) {
		err = nil // it exited with 0; somebody outside the group holds the output
	}
	if err == nil {
		return out.data, nil
	}
	return nil, failure(context.Cause(ctx), err, problems)
}

// failure says why there is no answer.
func failure(cause, err error, problems *tail) error {
	switch {
	case errors.Is(cause, errFull):
		return cause
	case errors.Is(cause, context.DeadlineExceeded):
		err = fmt.Errorf("it did not end in time and was killed: %w", cause)
	case cause != nil:
		err = fmt.Errorf("it was killed: %w", cause)
	}
	if len(problems.data) == 0 {
		return fmt.Errorf("%w; it wrote nothing to stderr", err)
	}
	return fmt.Errorf("%w; it wrote: %s", err, line(string(problems.data), true))
}

// A group is a process group, which may be killed until its leader was waited
// for: from then on its number may be somebody else's.
type group struct {
	mu   sync.Mutex
	over bool // guarded by mu: not to be killed any more
}

func (g *group) kill(leader int, last bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return os.ErrProcessDone
	}
	g.over = last
	return killGroup(leader)
}

// maxOutput bounds what a program may answer, in bytes.
const maxOutput = 64 << 10

var errFull = fmt.Errorf("it wrote more than %d bytes and was killed; let it answer {changed, present_before} alone, and the rest go to stderr", maxOutput)

// output keeps what is written to it, and ends the program when that is too much.
type output struct {
	data []byte
	full context.CancelCauseFunc
}

func (o *output) Write(b []byte) (int, error) {
	if len(o.data)+len(b) > maxOutput {
		o.full(errFull)
		return 0, errFull
	}
	o.data = append(o.data, b...)
	return len(b), nil
}

// tail keeps the end of what is written to it.
type tail struct{ data []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.data = append(t.data, b...)
	if extra := len(t.data) - 4*maxText; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(b), nil
}
