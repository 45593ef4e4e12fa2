package bot_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is who may know whom among our own packages, and which outside
// modules a package may use. What is not listed here fails the test, so a new
// package finds its place first.
var mayImport = map[string]struct{ own, outside []string }{
	"countersign/bot/access":            {},
	"countersign/bot/report":            {own: []string{"bot/access"}},
	"countersign/bot/ledger":            {own: []string{"bot/access"}, outside: []string{"gopkg.in/yaml.v3"}},
	"countersign/config":                {own: []string{"bot/access"}, outside: []string{"gopkg.in/yaml.v3"}},
	"countersign/gitstore":              {own: []string{"gitstore/remote"}, outside: []string{"github.com/edsrzf/mmap-go", "github.com/go-git/", "github.com/hiddeco/sshsig", "github.com/klauspost/compress", "golang.org/x/crypto", "golang.org/x/sys"}},
	"countersign/gitstore/remote":       {outside: []string{"github.com/go-git/", "github.com/skeema/knownhosts", "golang.org/x/crypto"}},
	"countersign/gitstore/gitstoretest": {own: []string{"gitstore"}},
	"countersign/bot/slacksim":          {outside: []string{"github.com/gorilla/websocket"}},
	"countersign/bot/checkup":           {},
	"countersign/bot/slackapp":          {own: []string{"bot/access", "bot/checkup"}, outside: []string{"github.com/slack-go/slack", "github.com/gorilla/websocket"}},
	"countersign/bot/yamledit":          {outside: []string{"gopkg.in/yaml.v3"}},
	"countersign/bot/provider/gitops":   {own: []string{"bot/access", "bot/yamledit"}},
	"countersign/bot/provider/github":   {own: []string{"bot/access"}, outside: []string{"github.com/google/go-github/v62"}},
	"countersign/bot/provider/webhook":  {own: []string{"bot/access"}},
	"countersign/bot/provider/exec":     {own: []string{"bot/access"}},
	"countersign/bot/provider/postgres": {own: []string{"bot/access"}, outside: []string{"github.com/jackc/pgx/v5"}},
	"countersign/bot/oncall/pagerduty":  {own: []string{"bot/access"}},
	"countersign/bot/oncall/incidentio": {own: []string{"bot/access"}},
	"countersign/bot/oncall/oncalltest": {},
	"countersign/bot/forge":             {outside: []string{"github.com/google/go-github/v62"}},
	"countersign/bot/index":             {own: []string{"bot/access"}, outside: []string{"modernc.org/sqlite"}},
	"countersign/bot/web":               {own: []string{"bot/access", "bot/report"}},
	"countersign/bot/web/signin":        {own: []string{"bot/access"}, outside: []string{"github.com/coreos/go-oidc/v3", "golang.org/x/oauth2"}},
	"countersign/bot":                   {own: []string{"bot/access"}, outside: []string{"github.com/oklog/ulid/v2", "github.com/robfig/cron/v3"}},
	"countersign/bot/bottest":           {own: []string{"bot", "bot/access", "bot/ledger"}, outside: []string{"github.com/google/go-cmp"}},

	"countersign/bot/bottest/browser":            {outside: []string{"github.com/chromedp/chromedp"}},
	"countersign/bot/provider/github/githubtest": {own: []string{"bot/bottest"}},

	"countersign/cmd/countersign": {
		own:     []string{"bot", "bot/access", "bot/checkup", "bot/forge", "bot/index", "bot/ledger", "bot/oncall/incidentio", "bot/oncall/oncalltest", "bot/oncall/pagerduty", "bot/provider/exec", "bot/provider/github", "bot/provider/gitops", "bot/provider/postgres", "bot/provider/webhook", "bot/report", "bot/slackapp", "bot/slacksim", "bot/web", "bot/web/signin", "bot/yamledit", "config", "gitstore", "gitstore/remote"},
		outside: []string{"github.com/bradleyfalzon/ghinstallation/v2", "github.com/google/go-github/v62", "github.com/mattn/go-isatty", "github.com/prometheus/client_golang", "golang.org/x/sys/unix"},
	},
}

// accessMay are the only std packages of the pure core: values, no world.
var accessMay = []string{"cmp", "errors", "fmt", "maps", "reflect", "regexp", "slices", "strconv", "strings", "time", "unicode", "unicode/utf8"}

func TestWhoKnowsWhom(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "countersign/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		rule, known := mayImport[f[0]]
		if !known {
			t.Errorf("%s is not in the table of who may know whom", f[0])
		}
		for _, imp := range f[1:] {
			if own, ok := strings.CutPrefix(imp, "countersign/"); ok {
				if !slices.Contains(rule.own, own) {
					t.Errorf("%s must not know %s", f[0], own)
				}
				continue
			}
			if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
				if !slices.ContainsFunc(rule.outside, func(p string) bool { return strings.HasPrefix(imp, p) }) {
					t.Errorf("%s must not use %s", f[0], imp)
				}
				continue
			}
			if f[0] == "countersign/bot/access" && !slices.Contains(accessMay, imp) {
				t.Errorf("the pure core must not use %s", imp)
			}
		}
	}
}

// TestCoreOwnsNoClock: time comes in as a value.
func TestCoreOwnsNoClock(t *testing.T) {
	out, err := exec.Command("grep", "-nE", `time\.(Now|Since|Until|After|Sleep|Tick|NewTimer)\(`, "-r", "--include=*.go", "--exclude=*_test.go", "access", "report", "ledger").Output()
	if len(out) > 0 {
		t.Errorf("the core asks for the time:\n%s", out)
	}
	if e, ok := err.(*exec.ExitError); err != nil && (!ok || e.ExitCode() != 1) {
		t.Fatal(err)
	}
}
