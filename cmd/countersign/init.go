package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"countersign/gitstore"
)

// initCommand turns an empty repository into a working one, or protects its
// branches on GitHub.
func initCommand(ctx context.Context, args []string, c console) error {
	fs := flags(c, "init", "--repo PATH [flags] | --protect OWNER/NAME [flags]", `Writes what a repository needs: on main a countersign.yaml that explains itself,
allowed_signers with the bot's key, CODEOWNERS and workflows; the branch audit,
begun by the bot's key. PATH is a bare repository, an ordinary one, or what does
not exist yet. What is not told by flags is asked for on a terminal. Nothing that
is there is ever replaced.

Once both branches are on GitHub, init --protect sets the rulesets there, with
GITHUB_TOKEN (administration: write): nobody rewrites or deletes audit, and main
is changed by reviewed pull requests only. It may be run again.`)
	var n initiation
	n.flags(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	if n.protect != "" {
		if n.repo != "" {
			return usageError{"--repo and --protect are two steps: the branches have to be on GitHub before they are protected"}
		}
		return protect(ctx, n.protect, c)
	}
	if n.repo == "" {
		return usageError{"--repo is missing"}
	}
	if remoteAddress.MatchString(n.repo) {
		return usageError{"--repo is a path here: make the repository ready on this machine, then push main and audit to " + n.repo}
	}
	if err := n.complete(ctx, c); err != nil {
		return err
	}
	return n.run(ctx, c)
}

// remoteAddress is an address of git's that names another machine.
var remoteAddress = regexp.MustCompile(`^[a-z+]+://|^[^/@]+@[^/:]+:`)

// An initiation is what init was told.
type initiation struct {
	scaffold
	repo, protect string
	author        string
	dataDir       string
	keyFile       string // of the bot; unset: in the data dir
	botKey        string // file with the public key of a bot that runs elsewhere
	told          map[string]string

	person gitstore.Identity
}

func (n *initiation) flags(fs *flag.FlagSet) {
	n.told = map[string]string{}
	tell := func(name, use string) { fs.Func(name, use, func(v string) error { n.told[name] = v; return nil }) }
	fs.StringVar(&n.repo, "repo", "", "the `PATH` of the repository")
	tell("channel", "the `CHANNEL` of Slack in which requests are approved: an id, or #name")
	tell("reviewers", "the `ADDRESSES` of those who approve, by commas")
	tell("code-owners", "the `OWNERS` of the rules on GitHub, by commas: @login, @organization/team; without them there is no CODEOWNERS")
	tell("actions", "the `OWNER/countersign@TAG` whose actions the workflows use, or @COMMIT; without it there are no workflows")
	fs.StringVar(&n.author, "author", "", "the `\"NAME <ADDRESS>\"` of the person whose commit it is (default: as git is configured)")
	fs.StringVar(&n.dataDir, "data-dir", "", "the `DIR` in which serve will find the signing key, made if it is missing (default: as serve's)")
	fs.StringVar(&n.botKey, "bot-key", "", "the `FILE` with the public key of a bot that runs elsewhere; audit is then begun by its first start")
	fs.StringVar(&n.protect, "protect", "", "the `OWNER/NAME` on GitHub whose branches are to be protected")
}

// questions are what has to be known, in the order in which it is asked for.
func (n *initiation) questions() []question {
	return []question{
		{"channel", "Slack channel in which requests are approved", true, n.setChannel},
		{"reviewers", "Addresses of the reviewers, by commas", true, n.setReviewers},
		{"code-owners", "Code owners of the rules on GitHub, such as @acme/security (empty: none)", false, n.setOwners},
		{"actions", "Where the actions are, OWNER/countersign@TAG (empty: no workflows)", false, n.setActions},
	}
}

// complete finds out what is still to be known: by flags, by asking, from git.
func (n *initiation) complete(ctx context.Context, c console) error {
	if err := answer(c, n.told, n.questions()); err != nil {
		return err
	}
	if n.botKey != "" && n.dataDir != "" {
		return usageError{"--bot-key is for a bot that runs elsewhere, --data-dir for one that runs here"}
	}
	if err := c.secrets(map[string]*string{"COUNTERSIGN_SIGNING_KEY_FILE": &n.keyFile}); err != nil {
		return err
	}
	if n.dataDir == "" {
		dir, err := stateDir(c)
		if err != nil {
			return err
		}
		n.dataDir = dir
	}
	if n.keyFile == "" {
		n.keyFile = filepath.Join(n.dataDir, "signing_key")
	}
	var err error
	if n.person, err = whose(ctx, n.author, n.repo, c); err != nil {
		return err
	}
	if strings.EqualFold(n.person.Email, botIdentity.Email) {
		return usageError{fmt.Sprintf("%s is the bot: the rules are a person's, and serve refuses them from anybody else", n.person.Email)}
	}
	return nil
}

// run writes everything. What is refused is refused before anything is written.
// A crash between the two branches leaves main, and serve begins the other.
func (n *initiation) run(ctx context.Context, c console) error {
	here := n.botKey == ""
	repo, err := n.look(ctx, here)
	if err != nil {
		return err
	}
	signer, err := n.signerLine(here)
	if err != nil {
		return err
	}
	files, err := n.files()
	if err != nil {
		return err
	}
	if repo == nil {
		if repo, err = gitstore.Init(ctx, n.repo); err != nil {
			return err
		}
		fmt.Fprintf(c.err, "made    %s, a bare repository\n", n.repo)
	}
	commit, err := repo.AddFiles(ctx, gitstore.Creation{Branch: "main", Files: files, Message: "Begin with Countersign: rules, keys, checks", Author: n.person})
	if errors.Is(err, gitstore.ErrExists) {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "main    %.10s by %s <%s>:\n", commit, n.person.Name, n.person.Email)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(c.err, "          %s\n", path)
	}
	if signer == nil {
		fmt.Fprintln(c.err, "audit   is begun by the first start of the bot whose key that is: nobody else can sign it")
	} else if err := n.beginLog(ctx, repo, signer, c); err != nil {
		return err
	}
	n.next(c)
	return nil
}

// beginLog begins the branch audit as serve would, with the key that allowed_signers
// names: verify judges the first commit as it does every other.
func (n *initiation) beginLog(ctx context.Context, repo *gitstore.Repo, signer *gitstore.Signer, c console) error {
	unlock, err := lockDir(n.dataDir)
	if err != nil {
		return err
	}
	defer unlock()
	log, err := gitstore.OpenLog(ctx, gitstore.LogConfig{
		Repo: repo, Branch: "audit", Identity: botIdentity, Signer: signer, Marker: filepath.Join(n.dataDir, logMarker),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "audit   %.10s, signed with the key in %s\n", log.Head(), n.keyFile)
	return nil
}

// look opens the repository, nil where there is none yet, and refuses what is not
// to be touched.
func (n *initiation) look(ctx context.Context, here bool) (*gitstore.Repo, error) {
	marker := filepath.Join(n.dataDir, logMarker)
	if _, err := os.Stat(marker); here && err == nil {
		return nil, fmt.Errorf("%s belongs to a bot that has a log already (%s says which): choose another --data-dir; nothing was changed", n.dataDir, marker)
	}
	entries, err := os.ReadDir(n.repo)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	repo, err := gitstore.Open(ctx, n.repo)
	if errors.Is(err, gitstore.ErrNotRepository) {
		return nil, fmt.Errorf("%s has something in it and is no git repository; nothing was changed", n.repo)
	}
	if err != nil {
		return nil, err
	}
	if _, err := repo.Resolve(ctx, "audit"); !errors.Is(err, gitstore.ErrNotFound) {
		return nil, errors.Join(err, fmt.Errorf("%s has a branch audit already: init is for a repository without one; nothing was changed", n.repo))
	}
	head, err := repo.Resolve(ctx, "main")
	if errors.Is(err, gitstore.ErrNotFound) {
		return repo, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := repo.ReadFile(ctx, head, "countersign.yaml"); err == nil {
		return nil, fmt.Errorf("%s has a countersign.yaml on main already: init never replaces one; nothing was changed", n.repo)
	}
	return repo, nil
}

// signerLine finds the bot's key and notes its line for allowed_signers. Without
// the private key there is nobody to begin the log.
func (n *initiation) signerLine(here bool) (*gitstore.Signer, error) {
	if here {
		signer, _, err := gitstore.LoadOrCreateSigner(n.keyFile)
		if err != nil {
			return nil, err
		}
		n.signer = strings.TrimSpace(signer.AllowedSignersLine(botIdentity.Email))
		return signer, nil
	}
	data, err := os.ReadFile(n.botKey)
	if err != nil {
		return nil, fmt.Errorf("--bot-key: %w", err)
	}
	line := strings.TrimSpace(string(data))
	if strings.HasPrefix(line, "ssh-") {
		line = fmt.Sprintf("%s namespaces=\"git\" %s", botIdentity.Email, line)
	}
	if strings.ContainsAny(line, "\r\n") || !strings.HasPrefix(line, botIdentity.Email+" ") {
		return nil, fmt.Errorf("--bot-key: %s is no public key: want one line that begins with ssh-ed25519, or the line that serve prints", n.botKey)
	}
	if _, err := gitstore.ParseAllowedSigners([]byte(line)); err != nil {
		return nil, fmt.Errorf("--bot-key: %w", err)
	}
	n.signer = line
	return nil, nil
}

// next says what is left to do.
func (n *initiation) next(c console) {
	say := func(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }
	say("\nNext")
	say("  read countersign.yaml, and say in it what can be asked for")
	if len(n.owners) == 0 {
		say("  there is no CODEOWNERS: --code-owners names who reviews changes of the rules on GitHub")
	}
	if n.program == "" {
		say("  there are no workflows: --actions says where to take them from")
	}
	say("  on GitHub: git -C %s push git@github.com:OWNER/NAME.git main audit", n.repo)
	say("             countersign init --protect OWNER/NAME")
	say("  countersign slack manifest, then countersign serve --repo %s --data-dir %s", n.repo, n.dataDir)
}
