package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// release is set where a release is built:
// -ldflags '-X main.release=v1.2.3'. Elsewhere the module's own version counts.
var release string

// A build is what this binary was made from.
type build struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	CommitTime string `json:"commit_time,omitempty"`
	Modified   bool   `json:"modified"` // the tree held changes that no commit has
	Go         string `json:"go"`
	Platform   string `json:"platform"`
}

func buildOf(info *debug.BuildInfo) build {
	b := build{Go: info.GoVersion, Platform: runtime.GOOS + "/" + runtime.GOARCH}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.CommitTime = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	b.Version = cmp.Or(release, info.Main.Version, "(devel)")
	return b
}

// String is one line: what is not known is left out.
func (b build) String() string {
	parts := []string{"countersign", b.Version}
	if b.Commit != "" {
		parts = append(parts, "commit", b.Commit)
	}
	if b.CommitTime != "" {
		parts = append(parts, "of", b.CommitTime)
	}
	if b.Modified {
		parts = append(parts, "with local changes")
	}
	return strings.Join(append(parts, b.Go, b.Platform), " ")
}

// version prints what this binary was built from.
func version(_ context.Context, args []string, c console) error {
	fs := flags(c, "version", "[--json]", "Prints the version of this program, and what it was built from.")
	asJSON := fs.Bool("json", false, "print it as JSON")
	if err := parse(fs, args); err != nil {
		return err
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	b := buildOf(info)
	if *asJSON {
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		return e.Encode(b)
	}
	_, err := fmt.Fprintln(c.out, b)
	return err
}
