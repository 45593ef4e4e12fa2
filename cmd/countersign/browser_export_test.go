package main

import (
	"context"
	"io"
)

// Demo is the subcommand, for tests from outside. It returns the exit code.
func Demo(ctx context.Context, out, errs io.Writer, args ...string) int {
	env := func(string) string { return "" }
	return run(ctx, append([]string{"demo"}, args...), console{env: env, out: out, err: errs})
}
