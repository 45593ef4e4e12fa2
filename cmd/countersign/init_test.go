package main

import (
	"regexp"
	"strings"
	"testing"

	"countersign/config"
)

func scaffolded(t *testing.T) map[string][]byte {
	t.Helper()
	s := scaffold{signer: `countersign@localhost namespaces="git" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM6eZWWPUbI+oxrBOjjMU3IXA44s1ajBLy54Q2y6tdkk`}
	for set, text := range map[string]func(string) error{
		"C0ACCESS": s.setChannel, "bob@example.com,carol@partner.example": s.setReviewers,
		"@acme/security @bob-gh": s.setOwners, "acme/countersign@0123456789abcdef0123456789abcdef01234567": s.setActions,
	} {
		if err := text(set); err != nil {
			t.Fatal(err)
		}
	}
	files, err := s.files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// example is a line of the configuration that is there to have its # taken away.
var example = regexp.MustCompile(`(?m)^#(\S|  .*\S)`)

// TestScaffoldTeaches: the configuration that init writes is one as it stands, and
// with every example in it made real; the tests among the examples pass.
func TestScaffoldTeaches(t *testing.T) {
	t.Parallel()
	text := string(scaffolded(t)["countersign.yaml"])
	_, warnings, err := config.Read("countersign.yaml", []byte(text))
	if err != nil || len(warnings) != 1 { // there is nothing to ask for yet
		t.Fatalf("as it stands: %v, %v", err, warnings)
	}
	head, body, _ := strings.Cut(text, "version: 1\n")
	body = strings.ReplaceAll(body, "  #require", "  require")
	made := "version: 1\n" + example.ReplaceAllString(body, "$1")
	f, warnings, err := config.Read("countersign.yaml", []byte(made))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("with its examples: %v, %v\n%s", err, warnings, made)
	}
	if len(f.Rules.Resources) != 5 || len(f.Rules.Policies) != 2 || len(f.Rules.Groups) != 3 || len(f.Rules.Auditors) != 1 || f.Rules.OnCall.PagerDuty == nil {
		t.Errorf("not all examples are read:\n%s", made)
	}
	if len(f.Tests) == 0 {
		t.Error("no example of a test")
	}
	for _, x := range f.Tests {
		if diff := runTest(f, x); diff != "" {
			t.Errorf("%s asks for %s:\n%s", x.As, x.Resource, diff)
		}
	}
	for _, m := range regexp.MustCompile(`countersign ([a-z]+ [a-z]+)`).FindAllStringSubmatch(head, -1) {
		if _, _, ok := find(strings.Fields(m[1])); !ok {
			t.Errorf("there is no command %s", m[1])
		}
	}
}

// TestScaffoldWorkflows: what init writes for GitHub passes the lint of our own
// workflows, and calls what there is.
func TestScaffoldWorkflows(t *testing.T) {
	t.Parallel()
	files := scaffolded(t)
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for _, name := range []string{"config.yml", "report.yml", "verify.yml"} {
		text := string(files[".github/workflows/"+name])
		if strings.Contains(text, "@PROGRAM") || strings.Contains(text, "REF@") {
			t.Errorf("%s is not filled in:\n%s", name, text)
		}
		call := "uses: acme/countersign/.github/workflows/" + name + "@" + commit
		if !strings.Contains(text, call+"\n") || !strings.Contains(text, "program: acme/countersign\n") || !strings.Contains(text, `ref: "`+commit+`"`) {
			t.Errorf("%s does not call ours:\n%s", name, text)
		}
		if read("../../.github/workflows/"+name) == "" {
			t.Errorf("there is no %s of ours", name)
		}
		for _, problem := range lintWorkflow(strings.Replace(text, call, call+" # v1.2.3", 1)) {
			t.Errorf("%s: %s", name, problem)
		}
	}
	want := "/countersign.yaml @acme/security @bob-gh\n/allowed_signers @acme/security @bob-gh\n/.github/ @acme/security @bob-gh\n"
	if got := string(files[".github/CODEOWNERS"]); !strings.HasSuffix(got, want) {
		t.Errorf("CODEOWNERS:\n%s", got)
	}
}
