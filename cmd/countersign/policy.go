package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
	"countersign/config"
)

// policyTest runs the tests that stand beside the policies.
func policyTest(_ context.Context, args []string, c console) error {
	fs := flags(c, "policy test", "FILE [--junit FILE]", `Runs the tests of a countersign.yaml: who asks for what, and who may then
approve it, or whether it is denied or given automatically. Groups that a
directory keeps are not asked: they approve nothing here.`)
	junit := fs.String("junit", "", "write the results as JUnit XML to this `FILE`")
	files, err := parseAround(fs, args, "FILE")
	if err != nil {
		return err
	}
	file := files[0]
	f, err := readConfig(file)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return errFound
	}
	suite := testSuite{Name: file}
	for _, t := range f.Tests {
		suite.add(file, t, runTest(f, t))
	}
	if *junit != "" {
		if err := writeOutput(*junit, suite.write); err != nil {
			return err
		}
	}
	for _, t := range suite.Cases {
		if t.Failure != nil {
			fmt.Fprintf(c.out, "%s:%d: %s\n%s\n", file, t.Line, t.Name, t.Failure.Text)
		}
	}
	fmt.Fprintf(c.err, "%s, %d failed\n", count(suite.Tests, "policy test"), suite.Failures)
	if suite.Failures > 0 {
		return errFound
	}
	return nil
}

func readConfig(file string) (*config.File, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, _, err := config.Read(file, data)
	return f, err
}

// runTest says how the answer differs from the one that is wanted; "" if not.
func runTest(f *config.File, t config.Test) string {
	res, ok := f.Rules.Resource(t.Resource)
	if !ok {
		return fmt.Sprintf("  there is no resource %s", t.Resource)
	}
	facts := access.Facts{Now: t.At, Anytime: t.At.IsZero()}
	got := facts.Explain(&f.Rules, access.Person{Email: t.As}, access.Person{Email: t.For}, res)
	want := access.WouldNeedPeople
	switch {
	case t.Denied:
		want = access.WouldBeDenied
	case t.Automatic:
		want = access.WouldBeGiven
	}
	if got.Outcome != want {
		wanted := string(want)
		if len(t.Want) > 0 {
			wanted += " by " + strings.Join(t.Want, ", ")
		}
		return fmt.Sprintf("  want %s\n  got  %s%s", wanted, got.Outcome, because(got))
	}
	if want != access.WouldNeedPeople {
		return ""
	}
	var diff strings.Builder
	for _, e := range t.Want {
		if !slices.Contains(got.Approvers, e) {
			fmt.Fprintf(&diff, "  - %s may not approve, and should\n", e)
		}
	}
	for _, e := range got.Approvers {
		if !slices.Contains(t.Want, e) {
			fmt.Fprintf(&diff, "  + %s may approve, and should not\n", e)
		}
	}
	return strings.TrimSuffix(diff.String(), "\n")
}

func because(e access.Explanation) string {
	switch e.Outcome {
	case access.WouldBeDenied:
		return ": " + access.Plain(e.Reason)
	case access.WouldBeGiven:
		return ": " + strings.ReplaceAll(string(e.Source), "_", " ")
	case access.WouldNeedPeople:
		return ": it takes " + e.Takes
	}
	return ""
}

// testSuite is the outcome in the form that JUnit made common.
type testSuite struct {
	XMLName  xml.Name   `xml:"testsuite"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Name    string       `xml:"name,attr"`
	Class   string       `xml:"classname,attr"`
	Line    int          `xml:"line,attr"`
	Failure *testFailure `xml:"failure,omitempty"`
}

type testFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (s *testSuite) add(file string, t config.Test, failure string) {
	name := fmt.Sprintf("%s asks for %s", t.As, t.Resource)
	if t.For != t.As {
		name += " for " + t.For
	}
	one := testCase{Name: name, Class: file, Line: t.Line}
	if s.Tests++; failure != "" {
		s.Failures++
		one.Failure = &testFailure{Message: "the policies answer differently", Text: failure}
	}
	s.Cases = append(s.Cases, one)
}

func (s *testSuite) write(w io.Writer) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// policyExplain says what a configuration would answer, and why.
func policyExplain(_ context.Context, args []string, c console) error {
	fs := flags(c, "policy explain", "--config FILE --as ADDRESS --resource ID [flags]", `Says who may approve a request, or why it is denied or given automatically, and
what part each access policy has in that. Groups that a directory keeps are not
asked.`)
	file := fs.String("config", "countersign.yaml", "the configuration `FILE`")
	as := fs.String("as", "", "the `ADDRESS` of who asks (required)")
	principal := fs.String("for", "", "the `ADDRESS` of who gets the access (default: --as)")
	id := fs.String("resource", "", "the resource's `ID` (required)")
	at := fs.String("at", "", "the `TIME`, RFC 3339 (default: now)")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *as == "" || *id == "" {
		return usageError{"--as and --resource are needed"}
	}
	for _, address := range []string{*as, *principal} {
		if address != "" && !strings.Contains(address, "@") {
			return usageError{fmt.Sprintf("%q is not an e-mail address", address)}
		}
	}
	now := time.Now()
	if *at != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, *at); err != nil {
			return usageError{fmt.Sprintf("--at %q: write it as 2026-01-31T09:00:00Z", *at)}
		}
	}
	f, err := readConfig(*file)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return errFound
	}
	res, ok := f.Rules.Resource(*id)
	if !ok {
		return fmt.Errorf("there is no resource %s in %s", *id, *file)
	}
	if *principal == "" {
		*principal = *as
	}
	var text strings.Builder
	explain(&text, access.Facts{Now: now}.Explain(&f.Rules, access.Person{Email: *as}, access.Person{Email: *principal}, res))
	_, err = io.WriteString(c.out, text.String())
	return err
}

func explain(w io.Writer, e access.Explanation) {
	switch e.Outcome {
	case access.WouldBeDenied:
		fmt.Fprintf(w, "denied: %s\n", access.Plain(e.Reason))
	case access.WouldBeGiven:
		fmt.Fprintf(w, "automatic: %s, for at most %s\n", e.Source, access.FormatDuration(e.Limit))
	default:
		fmt.Fprintf(w, "approval: it takes %s, for at most %s\n", e.Takes, access.FormatDuration(e.Limit))
		for _, a := range e.Approvers {
			fmt.Fprintf(w, "  %s\n", a)
		}
	}
	var demands []string
	if e.Reasons {
		demands = append(demands, "a reason")
	}
	if e.Durations {
		demands = append(demands, "a duration")
	}
	for _, t := range e.Tickets {
		demands = append(demands, "a ticket like "+t)
	}
	if len(demands) > 0 {
		fmt.Fprintf(w, "demanded: %s\n", strings.Join(demands, ", "))
	}
	for _, p := range e.Policies {
		fmt.Fprintf(w, "policy %q %s\n", p.Policy, p.Part)
	}
}
