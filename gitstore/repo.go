package gitstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/config"

	"countersign/gitstore/remote"
)

// Repo is an opened git repository, bare or with a work tree. It is safe for
// use by several goroutines, and several processes may have one repository
// open at once. Replace refs are never followed: what is read is what the ids
// say.
type Repo struct {
	path    string // as given to Open, for messages
	dir     string // absolute: the common git directory, with refs and objects
	bare    bool
	objects *objectStore

	upstream *remote.Remote // what this repository mirrors; nil for one that stands alone
	pushWait time.Duration  // how long the remote may take to answer a push

	recovered atomic.Bool // temporary packs of dead writers were removed
	disk      disk
}

// Open opens the repository at path: a bare repository, the top of a work
// tree, or a .git directory. It fails with ErrNotRepository, or with
// ErrUnsupported where the history is incomplete (shallow, grafted, partial)
// or the format is unknown (SHA-256, reftable).
func Open(ctx context.Context, path string) (*Repo, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", path, err)
	}
	dir, err := findGitDir(abs)
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", path, err)
	}
	r := &Repo{path: path, dir: dir}
	if err := r.checkSupported(); err != nil {
		return nil, fmt.Errorf("open repository %s: %w", path, err)
	}
	if r.objects, err = openObjects(filepath.Join(dir, "objects")); err != nil {
		return nil, fmt.Errorf("open repository %s: %w", path, err)
	}
	return r, nil
}

// Init creates a bare repository at path, with HEAD on the branch main, and
// opens it. It fails with ErrExists where there is a repository. What it made
// survives a power cut.
func Init(ctx context.Context, path string) (*Repo, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	_, err := git.PlainInitWithOptions(path, &git.PlainInitOptions{
		Bare:        true,
		InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")},
	})
	if errors.Is(err, git.ErrRepositoryAlreadyExists) {
		return nil, fmt.Errorf("create repository %s: %w", path, ErrExists)
	}
	if err != nil {
		return nil, fmt.Errorf("create repository %s: %w", path, err)
	}
	if err := new(disk).syncTree(path); err != nil {
		return nil, fmt.Errorf("create repository %s: %w", path, err)
	}
	return Open(ctx, path)
}

// Path returns the path under which the repository was opened.
func (r *Repo) Path() string { return r.path }

// findGitDir returns the common git directory of what lies at path.
func findGitDir(path string) (string, error) {
	dot := filepath.Join(path, ".git")
	info, err := os.Stat(dot)
	switch {
	case err == nil && info.IsDir():
		path = dot
	case err == nil:
		if path, err = followGitFile(dot); err != nil {
			return "", err
		}
	case !errors.Is(err, fs.ErrNotExist) && !isNotDir(err):
		return "", err
	}
	common, err := os.ReadFile(filepath.Join(path, "commondir"))
	if err == nil {
		path = joinUnlessAbs(path, strings.TrimSpace(string(common)))
	}
	for _, need := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(path, need)); err != nil {
			if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
				return "", ErrNotRepository
			}
			return "", err
		}
	}
	return path, nil
}

// followGitFile reads a .git file ("gitdir: path"), as linked work trees and
// submodules have it.
func followGitFile(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
	if !ok {
		return "", ErrNotRepository
	}
	return joinUnlessAbs(filepath.Dir(file), target), nil
}

func joinUnlessAbs(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// checkSupported refuses repositories whose history may have gaps or whose
// files mean something else than assumed here.
func (r *Repo) checkSupported() error {
	for file, what := range map[string]string{
		"shallow":     "the clone is shallow (run: git fetch --unshallow)",
		"info/grafts": "info/grafts replaces parts of the history",
	} {
		data, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(file)))
		if err == nil && len(bytes.TrimSpace(data)) > 0 {
			return fmt.Errorf("%w: %s", ErrUnsupported, what)
		}
	}
	raw, err := os.ReadFile(filepath.Join(r.dir, "config"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cfg := config.New()
	if err := config.NewDecoder(bytes.NewReader(raw)).Decode(cfg); err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	r.bare = strings.EqualFold(cfg.Section("core").Option("bare"), "true")
	return checkExtensions(cfg)
}

func checkExtensions(cfg *config.Config) error {
	switch v := cfg.Section("core").Option("repositoryformatversion"); v {
	case "", "0", "1":
	default:
		return fmt.Errorf("%w: repository format version %s", ErrUnsupported, v)
	}
	for _, opt := range cfg.Section("extensions").Options {
		key, value := strings.ToLower(opt.Key), strings.ToLower(opt.Value)
		switch {
		case key == "objectformat" && value == "sha1",
			key == "refstorage" && value == "files",
			key == "noop", key == "preciousobjects", key == "worktreeconfig":
		case key == "objectformat":
			return fmt.Errorf("%w: object format %s (only SHA-1 is understood)", ErrUnsupported, value)
		default:
			return fmt.Errorf("%w: extension %s = %s", ErrUnsupported, key, value)
		}
	}
	return nil
}

// makeDirs creates directories within the repository. The repository itself is
// never made anew: where it has gone, perhaps with its disk, a fresh directory
// in its place would be in the way when it comes back.
func (r *Repo) makeDirs(dir string) error {
	if _, err := os.Stat(r.dir); err != nil {
		return fmt.Errorf("the repository is gone: %w", err)
	}
	return r.disk.makeDirs(dir, 0o777)
}
