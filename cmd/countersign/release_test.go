package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// needs skips a test where a program is missing that a release is built with.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("there is no %s here", p)
		}
	}
}

// output runs a program that must succeed.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestRelease builds what a release holds, for one platform: it unpacks, its sums
// are right, the binary runs and says its version, and a second build has the same
// bytes.
func TestRelease(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("releases are built on Linux")
	}
	needs(t, "bash", "git", "tar", "awk", "sha256sum")
	script, err := filepath.Abs(filepath.Join("..", "..", ".github", "release", "build.sh"))
	if err != nil {
		t.Fatal(err)
	}
	const version = "v1.2.3-rc.4"
	target := runtime.GOOS + "/" + runtime.GOARCH
	dist := t.TempDir()
	output(t, dist, "bash", script, version, dist, target)
	output(t, dist, "sha256sum", "--check", "--strict", "SHA256SUMS")

	name := "countersign_" + version + "_" + runtime.GOOS + "_" + runtime.GOARCH
	output(t, dist, "tar", "-xzf", name+".tar.gz")
	binary := filepath.Join(dist, name, "countersign")
	if said := output(t, dist, binary, "version"); !strings.HasPrefix(said, "countersign "+version+" ") || strings.TrimSpace(said) != strings.Join(strings.Fields(said), " ") {
		t.Errorf("it says %q", said)
	}
	for _, file := range []string{"LICENSE", "README.md", "CHANGELOG.md", "countersign.1", "completions/countersign.bash", "completions/_countersign", "completions/countersign.fish"} {
		if info, err := os.Stat(filepath.Join(dist, name, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	checkSBOM(t, filepath.Join(dist, name+".cdx.json"), output(t, dist, "go", "version", "-m", binary))

	again := t.TempDir()
	output(t, again, "bash", script, version, again, target)
	if a, b := read(filepath.Join(dist, "SHA256SUMS")), read(filepath.Join(again, "SHA256SUMS")); a != b || strings.Count(a, "\n") != 2 {
		t.Errorf("two builds are not the same two files:\n%s%s", a, b)
	}
	if out, err := exec.Command("bash", script, "1.2.3; id", again, target).CombinedOutput(); err == nil {
		t.Errorf("what is no version was built: %s", out)
	}
}

// checkSBOM holds the bill against what the binary says that it was linked from.
func checkSBOM(t *testing.T, file, linked string) {
	t.Helper()
	var bill struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal([]byte(read(file)), &bill); err != nil {
		t.Fatal(err)
	}
	if bill.BOMFormat != "CycloneDX" || bill.Metadata.Component.Name != "countersign" || bill.Metadata.Component.Version == "" {
		t.Errorf("the bill is of %+v", bill.Metadata)
	}
	have := map[string]bool{}
	for _, c := range bill.Components {
		have[c.Name+"@"+c.Version] = c.PURL == "pkg:golang/"+c.Name+"@"+c.Version
	}
	if want := "stdlib@" + strings.TrimPrefix(runtime.Version(), "go"); !have[want] {
		t.Errorf("%s is missing", want)
	}
	deps := 0
	for line := range strings.Lines(linked) {
		if f := strings.Fields(line); f[0] == "dep" {
			deps++
			if !have[f[1]+"@"+f[2]] {
				t.Errorf("%s %s is missing", f[1], f[2])
			}
		}
	}
	if deps == 0 || len(bill.Components) != deps+1 {
		t.Errorf("%d components, %d dependencies and Go", len(bill.Components), deps)
	}
}
