package gitstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing/format/config"
)

// RemoteURL returns the address of a remote of the repository, such as
// "origin"; empty if it has none of that name. Nothing is contacted.
func (r *Repo) RemoteURL(name string) (string, error) {
	if r.upstream != nil && name == "origin" {
		return r.upstream.String(), nil
	}
	raw, err := os.ReadFile(filepath.Join(r.dir, "config"))
	if err != nil {
		return "", fmt.Errorf("remote %s: %w", name, err)
	}
	cfg := config.New()
	if err := config.NewDecoder(bytes.NewReader(raw)).Decode(cfg); err != nil {
		return "", fmt.Errorf("remote %s: %w", name, err)
	}
	return cfg.Section("remote").Subsection(name).Option("url"), nil
}
