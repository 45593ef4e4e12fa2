package gitstore_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// unpackObjects turns a pack into loose objects.
func unpackObjects(dir, pack string) error {
	f, err := os.Open(pack)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command("git", "unpack-objects", "-q")
	cmd.Dir, cmd.Stdin = dir, f
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git unpack-objects: %w: %s", err, out)
	}
	return nil
}

func sshKeygen(args ...string) (string, error) {
	out, err := exec.Command("ssh-keygen", args...).CombinedOutput()
	return string(out), err
}

// packObjects packs some objects with deltas and returns the pack's path.
func packObjects(dir string, ids []string) (string, error) {
	base := filepath.Join(dir, "objects/pack/pack")
	cmd := exec.Command("git", "pack-objects", "--quiet", base)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(strings.Join(ids, "\n")+"\n")
	out, err := cmd.Output()
	return base + "-" + strings.TrimSpace(string(out)) + ".pack", err
}
