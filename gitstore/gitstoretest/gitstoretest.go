// Package gitstoretest has the real git at hand for tests: it makes
// repositories and judges what gitstore has written into them.
//
// Git runs without any configuration of the machine or the user.
package gitstoretest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Git runs git in dir and returns its standard output without the last line
// break. It ends the test where git fails.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := TryGit(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryGit is Git for commands that may fail.
func TryGit(dir string, args ...string) (string, error) { return GitEnv(dir, nil, args...) }

// GitEnv is TryGit with further variables in the environment ("KEY=value").
func GitEnv(dir string, env []string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_TEMPLATE_DIR=", // no sample hooks in each repository
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com")
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s in %s: %w: %s%s", strings.Join(args, " "), dir, err, stderr.Bytes(), stdout.Bytes())
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// Upstream makes an empty bare repository and returns its directory.
func Upstream(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "upstream.git")
	Git(t, ".", "init", "--quiet", "--bare", "--initial-branch=main", dir)
	return dir
}

// WorkTree makes an ordinary repository with one commit on main, made by Ann,
// that holds the given files, and returns its directory.
func WorkTree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work")
	Git(t, ".", "init", "--quiet", "--initial-branch=main", dir)
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	Git(t, dir, "add", "--all")
	Git(t, dir, "commit", "--quiet", "--allow-empty", "--message", "begin")
	return dir
}

// Clone clones a repository with the given options, such as --bare, and
// returns the clone's directory.
func Clone(t testing.TB, from string, options ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	args := append([]string{"clone", "--quiet"}, options...)
	Git(t, ".", append(args, "file://"+from, dir)...)
	return dir
}
