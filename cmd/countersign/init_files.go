package main

import (
	"embed"
	"fmt"
	"regexp"
	"strings"

	"countersign/config"
	"countersign/gitstore"
)

//go:embed scaffold
var scaffoldFiles embed.FS

// A scaffold is what the first commit on main is made of.
type scaffold struct {
	channel   string   // of Slack, an id or #name
	reviewers []string // addresses
	owners    []string // of code, as GitHub names them: @login, @org/team, an address; none: no CODEOWNERS
	program   string   // OWNER/NAME of the repository with the actions; empty: no workflows
	ref       string   // its tag or commit
	signer    string   // the bot's line of allowed_signers
}

// The shapes of what init is told. What the configuration itself knows better, it
// says when it is parsed.
var (
	channelShape = regexp.MustCompile(`^(#[\p{L}\p{N}_-]{1,80}|[CG][A-Z0-9]{6,20})$`)
	ownerShape   = regexp.MustCompile(`^(@[A-Za-z0-9][A-Za-z0-9-]*(/[A-Za-z0-9._-]+)?|[^\s@#]+@[^\s@]+)$`)
	actionsShape = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+)@(v[0-9][A-Za-z0-9.-]*|[0-9a-f]{40})$`)
	plainYAML    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_-]*@[A-Za-z0-9.-]+$`)
)

// setChannel takes a channel; the # of a name may be left out.
func (s *scaffold) setChannel(text string) error {
	if !channelShape.MatchString(text) && !strings.HasPrefix(text, "#") {
		text = "#" + text
	}
	if !channelShape.MatchString(text) {
		return fmt.Errorf("%q is no channel of Slack: want its id, such as C0123456789, or #name", text)
	}
	s.channel = text
	return nil
}

// setReviewers takes addresses, by commas or spaces.
func (s *scaffold) setReviewers(text string) error {
	all := listed(text)
	for _, r := range all {
		if !address.MatchString(r) {
			return fmt.Errorf("%q is no e-mail address", r)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("without reviewers nobody could approve anything")
	}
	s.reviewers = all
	return nil
}

// setOwners takes the owners of the rules on GitHub; none is fine.
func (s *scaffold) setOwners(text string) error {
	all := listed(text)
	for _, o := range all {
		if !ownerShape.MatchString(o) {
			return fmt.Errorf("%q is no code owner: want @login, @organization/team or an e-mail address", o)
		}
	}
	s.owners = all
	return nil
}

// setActions takes where the actions are; nowhere is fine.
func (s *scaffold) setActions(text string) error {
	if text == "" {
		return nil
	}
	m := actionsShape.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q does not say where the actions are: want OWNER/countersign@v1.2.3, or a commit of 40 digits in the place of the tag; a branch could change under you", text)
	}
	s.program, s.ref = m[1], m[2]
	return nil
}

func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// files are those of the first commit. The configuration among them is a good one,
// or it is an error.
func (s *scaffold) files() (map[string][]byte, error) {
	files := map[string]string{"countersign.yaml": "countersign.yaml"}
	if len(s.owners) > 0 {
		files["CODEOWNERS"] = ".github/CODEOWNERS"
	}
	if s.program != "" {
		for _, name := range []string{"config.yml", "report.yml", "verify.yml"} {
			files[name] = ".github/workflows/" + name
		}
	}
	fill := strings.NewReplacer(
		"@CHANNEL@", fmt.Sprintf("%q", s.channel), "@REVIEWERS@", s.reviewerLines(), "@OWNERS@", strings.Join(s.owners, " "),
		"@PROGRAM@", s.program, "@@REF@", "@"+s.ref, "@REF@", s.ref,
	)
	out := map[string][]byte{"allowed_signers": []byte("# The keys that may sign the log, one a line. One that is replaced stays, with\n# valid-before=\"…\": what it signed has to stay good.\n" + s.signer + "\n")}
	for name, path := range files {
		text, err := scaffoldFiles.ReadFile("scaffold/" + name)
		if err != nil {
			return nil, err
		}
		out[path] = []byte(fill.Replace(string(text)))
	}
	if _, _, err := config.Parse("countersign.yaml", out["countersign.yaml"], ""); err != nil {
		return nil, err
	}
	if _, err := gitstore.ParseAllowedSigners(out["allowed_signers"]); err != nil {
		return nil, err
	}
	return out, nil
}

func (s *scaffold) reviewerLines() string {
	var b strings.Builder
	for _, r := range s.reviewers {
		if !plainYAML.MatchString(r) {
			r = fmt.Sprintf("%q", r)
		}
		fmt.Fprintf(&b, "  - %s\n", r)
	}
	return b.String()
}
