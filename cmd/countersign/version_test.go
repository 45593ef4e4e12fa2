package main

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestBuildOf(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	tail := " go1.26.0 " + runtime.GOOS + "/" + runtime.GOARCH
	for _, c := range []struct {
		name, main string
		settings   []debug.BuildSetting
		want       string
	}{
		{"no repository", "(devel)", nil, "countersign (devel)" + tail},
		{"no module", "", nil, "countersign (devel)" + tail},
		{"a commit", "v1.2.3", []debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.time", "2026-01-31T09:00:00Z"), setting("vcs.modified", "false")},
			"countersign v1.2.3 commit abc of 2026-01-31T09:00:00Z" + tail},
		{"local changes", "(devel)", []debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.modified", "true")},
			"countersign (devel) commit abc with local changes" + tail},
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: c.main}, Settings: c.settings}
		if got := buildOf(info).String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	var out bytes.Buffer
	if code := run(context.Background(), []string{"version", "--json"}, console{out: &out, err: &out}); code != exitOK {
		t.Fatalf("it ends with %d: %s", code, &out)
	}
	var got build
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Go != runtime.Version() || got.Version == "" {
		t.Errorf("it is %+v (%v):\n%s", got, err, &out)
	}
}
