package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/config"
)

// TestReadmeExamples: the configuration that the README shows is one, with and
// without its access policies, and the tests beside the policies pass.
func TestReadmeExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("the README has %d examples, want the configuration and the policies", len(blocks))
	}
	whole := ""
	for _, b := range blocks {
		whole += b[1]
		if _, _, err := config.Parse("README.md", []byte(whole), ""); err != nil {
			t.Fatal(err)
		}
	}
	// The manager whom the policies name stands in no example of its own.
	whole += "people:\n  - {email: alice@example.com, manager: dan@example.com}\n"
	f, _, err := config.Read("README.md", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tests) == 0 {
		t.Error("no test stands beside the policies")
	}
	for _, x := range f.Tests {
		if diff := runTest(f, x); diff != "" {
			t.Errorf("%s asks for %s:\n%s", x.As, x.Resource, diff)
		}
	}
}

// TestReadmeCommands: every command that the README names exists.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile("(?m)(?:^ *|`)countersign ([a-z][a-z -]*)").FindAllStringSubmatch(string(text), -1) {
		words := strings.Fields(m[1])
		if len(words) > 2 {
			words = words[:2]
		}
		if _, _, ok := find(words); !ok {
			t.Errorf("there is no command %q", m[1])
		}
		found++
	}
	if found < 7 {
		t.Errorf("only %d commands were found", found)
	}
}
