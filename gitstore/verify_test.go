package gitstore_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

func parseAllowed(t testing.TB, text string) *gitstore.AllowedSigners {
	t.Helper()
	a, err := gitstore.ParseAllowedSigners([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// logSite is a log with three entries and the key that it is written with.
type logSite struct {
	dir    string
	key    string // file
	signer *gitstore.Signer
	log    *gitstore.Log
}

func newLogSite(t testing.TB) *logSite {
	t.Helper()
	s := &logSite{dir: gitstoretest.Upstream(t), key: filepath.Join(t.TempDir(), "key")}
	var err error
	if s.signer, _, err = gitstore.LoadOrCreateSigner(s.key); err != nil {
		t.Fatal(err)
	}
	s.log = openLog(t, s.dir, s.signer)
	mustAppend(t, s.log, batch(1, 0, 2))
	mustAppend(t, s.log, batch(2, 0, 1))
	return s
}

func (s *logSite) allowed(t testing.TB) *gitstore.AllowedSigners {
	return parseAllowed(t, s.signer.AllowedSignersLine(bot.Email)+"\n")
}

func (s *logSite) verify(t testing.TB) (gitstore.Report, []gitstore.Problem, []gitstore.Entry) {
	t.Helper()
	var entries []gitstore.Entry
	report, problems, err := gitstore.Verify(context.Background(), openRepo(t, s.dir), "audit", s.allowed(t),
		func(e gitstore.Entry, c gitstore.CommitInfo) error {
			if e.Commit != c.ID {
				t.Errorf("entry of %s comes with commit %s", e.Commit, c.ID)
			}
			entries = append(entries, e)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return report, problems, entries
}

func TestVerifyGoodLog(t *testing.T) {
	s := newLogSite(t)
	report, problems, entries := s.verify(t)
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	want, head := scan(t, s.log, "")
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	wantReport := gitstore.Report{
		Head: head, First: gitstoretest.Git(t, s.dir, "rev-list", "--max-parents=0", "audit"),
		Commits: 4, Entries: 3, From: report.From, To: at.Add(2 * time.Second),
		Signers: map[string]int{s.signer.Fingerprint(): 4}, SignaturesChecked: true,
	}
	if diff := cmp.Diff(wantReport, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	stop := errors.New("enough")
	_, _, err := gitstore.Verify(context.Background(), openRepo(t, s.dir), "audit", nil,
		func(gitstore.Entry, gitstore.CommitInfo) error { return stop })
	if err != stop {
		t.Errorf("error %v, want that of fn", err)
	}
	if _, _, err := gitstore.Verify(context.Background(), openRepo(t, s.dir), "nope", nil, nil); !errors.Is(err, gitstore.ErrNotFound) {
		t.Errorf("unknown ref: %v, want ErrNotFound", err)
	}
}

// TestVerifyFindsTampering has git itself add commits that a log must not
// contain, in the bot's name and with the bot's key unless it is the point.
func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	first := batch(1, 0, 1).Entries[0].Path
	for _, tt := range []struct {
		name   string
		tamper func(t *testing.T, w *forger)
		says   string
	}{
		{"changed file", func(t *testing.T, w *forger) { w.write(first, "x"); w.commit() }, "changes"},
		{"removed file", func(t *testing.T, w *forger) { w.git("rm", "--quiet", first); w.commit() }, "exactly one file"},
		{"renamed file", func(t *testing.T, w *forger) { w.git("mv", first, first+".bak"); w.commit() }, "exactly one file"},
		{"two files", func(t *testing.T, w *forger) {
			w.write("requests/2026/a", "x")
			w.write("requests/2026/b", "x")
			w.commit()
		}, "exactly one file"},
		{"two files in two directories", func(t *testing.T, w *forger) {
			w.write("requests/2026/a", "x")
			w.write("reviews/b", "x")
			w.commit()
		}, "exactly one file"},
		{"two files in a new directory", func(t *testing.T, w *forger) {
			w.write("requests/2027/a", "x")
			w.write("requests/2027/b", "x")
			w.commit()
		}, "exactly one file"},
		{"no file", func(t *testing.T, w *forger) { w.commit("--allow-empty") }, "exactly one file"},
		{"executable file", func(t *testing.T, w *forger) {
			w.write("requests/2026/a", "x")
			w.git("update-index", "--chmod=+x", "requests/2026/a")
			w.commit()
		}, "not a regular file"},
		{"mode changed", func(t *testing.T, w *forger) {
			w.git("update-index", "--chmod=+x", first)
			w.commit()
		}, "changes"},
		{"link", func(t *testing.T, w *forger) {
			if err := os.Symlink("x", filepath.Join(w.dir, "requests/2026/a")); err != nil {
				t.Fatal(err)
			}
			w.git("add", "--all")
			w.commit()
		}, "not a regular file"},
		{"file becomes a directory", func(t *testing.T, w *forger) {
			w.git("rm", "--quiet", first)
			w.write(first+"/a", "x")
			w.commit()
		}, "exactly one file"},
		{"unknown directory", func(t *testing.T, w *forger) { w.write("other/a", "x"); w.commit() }, "lies where"},
		{"file at the top", func(t *testing.T, w *forger) { w.write("README", "x"); w.commit() }, "lies where"},
		{"FORMAT changed", func(t *testing.T, w *forger) { w.write("FORMAT", "version: 2\n"); w.commit() }, "changes"},
		{"no signature", func(t *testing.T, w *forger) { w.write("requests/a", "x"); w.commit("--no-gpg-sign") }, "no SSH signature"},
		{"foreign key", func(t *testing.T, w *forger) {
			key := filepath.Join(t.TempDir(), "key")
			if _, _, err := gitstore.LoadOrCreateSigner(key); err != nil {
				t.Fatal(err)
			}
			w.git("config", "user.signingKey", key)
			w.write("requests/a", "x")
			w.commit()
		}, "not an allowed signer"},
		{"foreign address", func(t *testing.T, w *forger) {
			w.env = append(w.env, "GIT_COMMITTER_EMAIL=eve@example.com", "GIT_AUTHOR_EMAIL=eve@example.com")
			w.write("requests/a", "x")
			w.commit()
		}, "may not sign for eve@example.com"},
		{"foreign author", func(t *testing.T, w *forger) {
			w.write("requests/a", "x")
			w.commit("--author=Eve <eve@example.com>")
		}, "not the same"},
		{"other author time", func(t *testing.T, w *forger) {
			w.write("requests/a", "x")
			w.commit("--date=2020-01-01T00:00:00+0000")
		}, "not the same"},
		{"merge", func(t *testing.T, w *forger) {
			w.git("checkout", "--quiet", "-b", "side", "HEAD~1")
			w.write("requests/a", "x")
			w.commit()
			w.git("checkout", "--quiet", "audit")
			w.git("merge", "--quiet", "--no-edit", "side")
		}, "merge"},
		{"message changed", func(t *testing.T, w *forger) { w.rewriteHead("event 1", "event 9") }, "not good"},
		{"time changed", func(t *testing.T, w *forger) { w.rewriteHead(" +0000\ngpgsig", " +0100\ngpgsig") }, "not good"},
		{"second signature", func(t *testing.T, w *forger) { w.rewriteHead("\ngpgsig ", "\ngpgsig-sha256 x\ngpgsig ") }, "not good"},
		{"odd header", func(t *testing.T, w *forger) { w.rewriteHead("\ngpgsig ", "\nencoding latin1\ngpgsig ") }, "not in the form"},
		{"tree out of order", func(t *testing.T, w *forger) {
			w.commitTree(func(root, fresh string) string { return "40000 reviews\x00" + fresh + root })
		}, "out of order"},
		{"name twice", func(t *testing.T, w *forger) {
			w.commitTree(func(root, fresh string) string { return root + "40000 requests\x00" + fresh })
		}, "twice"},
		{"mode in another spelling", func(t *testing.T, w *forger) {
			w.commitTree(func(root, fresh string) string { return root + "040000 reviews\x00" + fresh })
		}, "not in git's form"},
		{"second beginning", func(t *testing.T, w *forger) {
			w.git("checkout", "--quiet", "--orphan", "anew")
			w.git("rm", "--quiet", "-r", "--cached", "requests")
			w.write("requests/a", "x")
			w.commit()
			w.git("branch", "--force", "audit", "anew")
		}, "first commit does not hold exactly"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := newLogSite(t)
			w := newForger(t, s)
			tt.tamper(t, w)
			w.git("push", "--quiet", "--force", "origin", "audit")
			_, problems, _ := s.verify(t)
			if len(problems) == 0 {
				t.Fatal("nothing was found")
			}
			if all := fmt.Sprint(problems); !strings.Contains(all, tt.says) {
				t.Errorf("problems %s, want one that says %q", all, tt.says)
			}
		})
	}
}

// TestForgerIsGoodEnough shows that the forger's commits have no other fault
// than the one a test is about.
func TestForgerIsGoodEnough(t *testing.T) {
	s := newLogSite(t)
	w := newForger(t, s)
	w.write("requests/a", "x")
	w.commit()
	w.git("push", "--quiet", "origin", "audit")
	if _, problems, entries := s.verify(t); len(problems) > 0 || len(entries) != 4 {
		t.Errorf("%d entries, problems: %v", len(entries), problems)
	}
}

// forger is a clone of a log in which git commits with the bot's name and key.
type forger struct {
	t   *testing.T
	dir string
	env []string
}

func newForger(t *testing.T, s *logSite) *forger {
	w := &forger{t: t, dir: gitstoretest.Clone(t, s.dir, "--branch=audit")}
	for key, value := range map[string]string{"gpg.format": "ssh", "user.signingKey": s.key, "commit.gpgSign": "true"} {
		w.git("config", key, value)
	}
	w.env = []string{
		"GIT_AUTHOR_NAME=" + bot.Name, "GIT_AUTHOR_EMAIL=" + bot.Email, "GIT_AUTHOR_DATE=2026-02-01T00:00:00+0000",
		"GIT_COMMITTER_NAME=" + bot.Name, "GIT_COMMITTER_EMAIL=" + bot.Email, "GIT_COMMITTER_DATE=2026-02-01T00:00:00+0000",
	}
	return w
}

func (w *forger) git(args ...string) string {
	w.t.Helper()
	out, err := gitstoretest.GitEnv(w.dir, w.env, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *forger) write(path, text string) {
	w.t.Helper()
	file := filepath.Join(w.dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.git("add", "--all")
}

func (w *forger) commit(options ...string) {
	w.t.Helper()
	w.git(append([]string{"commit", "--quiet", "--message", "forged"}, options...)...)
}

// commitTree commits a top tree that git would not write: build makes its
// bytes from those it has now and from the 20-byte id of a tree with one file.
func (w *forger) commitTree(build func(root, fresh string) string) {
	w.t.Helper()
	w.write("reviews/a", "x")
	fresh, err := hex.DecodeString(w.git("rev-parse", w.git("write-tree")+":reviews"))
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("git", "cat-file", "tree", "HEAD^{tree}")
	cmd.Dir = w.dir
	root, err := cmd.Output()
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.t.TempDir(), "tree")
	if err := os.WriteFile(file, []byte(build(string(root), string(fresh))), 0o644); err != nil {
		w.t.Fatal(err)
	}
	tree := w.git("hash-object", "-t", "tree", "-w", "--literally", file)
	w.git("update-ref", "refs/heads/audit", w.git("commit-tree", "-S", "-p", "HEAD", "-m", "forged", tree))
}

// rewriteHead replaces a text in the bytes of the newest commit and makes the
// result the branch's head.
func (w *forger) rewriteHead(old, new string) {
	w.t.Helper()
	raw := w.git("cat-file", "commit", "HEAD") + "\n"
	if !strings.Contains(raw, old) {
		w.t.Fatalf("%q is not in the commit:\n%s", old, raw)
	}
	file := filepath.Join(w.t.TempDir(), "commit")
	if err := os.WriteFile(file, []byte(strings.Replace(raw, old, new, 1)), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.git("reset", "--quiet", "--soft", w.git("hash-object", "-t", "commit", "-w", "--literally", file))
}

// TestVerifyFindsDamage puts other bytes behind the id of an object.
func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, spec, says string }{
		{"file", "audit~2:" + batch(1, 0, 1).Entries[0].Path, "not those of its id"},
		{"tree", "audit~1:requests", "not those of its id"},
		{"commit", "audit~1", "breaks off"},
		{"missing file", "audit~2:" + batch(1, 0, 1).Entries[0].Path, "missing"},
		{"missing commit", "audit~1", "breaks off"},
		{"cut file", "audit~2:" + batch(1, 0, 1).Entries[0].Path, "corrupt"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			s := newLogSite(t)
			id := gitstoretest.Git(t, s.dir, "rev-parse", tt.spec)
			kind := gitstoretest.Git(t, s.dir, "cat-file", "-t", id)
			s.unpack(t)
			file := filepath.Join(s.dir, "objects", id[:2], id[2:])
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
			switch {
			case strings.HasPrefix(tt.name, "missing"):
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			case strings.HasPrefix(tt.name, "cut"):
				if err := os.Truncate(file, 10); err != nil {
					t.Fatal(err)
				}
			default:
				writeLoose(t, file, kind, other(t, s.dir, kind, id))
			}
			_, problems, _ := s.verify(t)
			if all := fmt.Sprint(problems); !strings.Contains(all, tt.says) {
				t.Errorf("problems %s, want one that says %q", all, tt.says)
			}
		})
	}
}

// other returns the bytes of another object of the same kind.
func other(t *testing.T, dir, kind, id string) []byte {
	switch kind {
	case "commit":
		return []byte(gitstoretest.Git(t, dir, "cat-file", "commit", id) + "more\n")
	case "tree":
		return nil
	}
	return []byte("version: 1\nother: true\n")
}

func writeLoose(t *testing.T, file, kind string, data []byte) {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	fmt.Fprintf(z, "%s %d\x00%s", kind, len(data), data)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unpack turns all packs into loose objects.
func (s *logSite) unpack(t *testing.T) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(s.dir, "objects/pack/pack-*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("packs: %v, %v", packs, err)
	}
	for _, p := range packs {
		moved := filepath.Join(t.TempDir(), "p.pack")
		if err := os.Rename(p, moved); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(strings.TrimSuffix(p, ".pack") + ".idx"); err != nil {
			t.Fatal(err)
		}
		if err := unpackObjects(s.dir, moved); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAllowedSigners(t *testing.T) {
	s := newLogSite(t)
	ctx := context.Background()
	info, err := openRepo(t, s.dir).Commit(ctx, s.log.Head()) // of 2026-01-31 12:00:02
	if err != nil {
		t.Fatal(err)
	}
	line := s.signer.AllowedSignersLine(bot.Email)
	key := line[strings.Index(line, "ssh-ed25519"):]
	for _, tt := range []struct {
		file string
		want string // part of the refusal; "" if allowed
	}{
		{line, ""},
		{bot.Email + " " + key + " a comment", ""},
		{"# nothing\n\n  \r\n" + line + "\r\n", ""},
		{"eve@example.com,*@example.com " + key, ""},
		{`"eve@example.com,` + bot.Email + `" ` + key, ""},
		{"eve@example.com " + key + "\n" + line, ""},
		{"countersign@example.??? " + key, ""},
		{bot.Email + ` namespaces="file,git" ` + key, ""},
		{bot.Email + ` namespaces="g*" ` + key, ""},
		{bot.Email + ` valid-after="20260131",valid-before="202601311201Z" ` + key, ""},
		{bot.Email + ` valid-before="20260131120002Z" ` + key, ""},
		{bot.Email + ` valid-after="20260131120002Z" ` + key, ""},
		{"", "not an allowed signer"},
		{"*,!" + bot.Email + " " + key, "may not sign for"},
		{"*@example.org " + key, "may not sign for"},
		{bot.Email + ` namespaces="file" ` + key, "may not sign commits"},
		{bot.Email + ` valid-after="20260201" ` + key, "from 2026-02-01T00:00:00Z on only"},
		{bot.Email + ` valid-before="202601311200" ` + key, "until 2026-01-31T12:00:00Z only"},
	} {
		err := parseAllowed(t, tt.file).Check(info)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: %v, want %q", tt.file, err, tt.want)
		}
	}
	for _, file := range []string{
		"x", "x y", bot.Email + " cert-authority " + key, bot.Email + ` valid-until="2026" ` + key, bot.Email + ` valid-after="soon" ` + key,
		bot.Email, bot.Email + " ssh-ed25519 AAAA", line + "\n" + `"` + bot.Email + " " + key,
	} {
		if _, err := gitstore.ParseAllowedSigners([]byte(file)); err == nil {
			t.Errorf("%q was accepted", file)
		}
	}
}

func TestSignerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "key")
	s, created, err := gitstore.LoadOrCreateSigner(path)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	again, created, err := gitstore.LoadOrCreateSigner(path)
	if err != nil || created || again.Fingerprint() != s.Fingerprint() {
		t.Errorf("second time: created %v, %v, key %s, want %s", created, err, again.Fingerprint(), s.Fingerprint())
	}
	out, err := sshKeygen("-l", "-f", path)
	if err != nil || !strings.Contains(out, s.Fingerprint()) {
		t.Errorf("ssh-keygen -l says %q, %v, want %s", out, err, s.Fingerprint())
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := gitstore.LoadOrCreateSigner(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v, want a refusal that says what to do", mode, err)
		}
	}
	for name, args := range map[string][]string{
		"rsa":        {"-t", "rsa", "-N", ""},
		"passphrase": {"-t", "ed25519", "-N", "secret"},
	} {
		file := filepath.Join(t.TempDir(), name)
		if out, err := sshKeygen(append(args, "-q", "-f", file)...); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if _, _, err := gitstore.LoadOrCreateSigner(file); err == nil {
			t.Errorf("a key with %s was accepted", name)
		}
	}
}

// TestSignatureOfGit reads a signature that git has made.
func TestSignatureOfGit(t *testing.T) {
	s := newLogSite(t)
	w := newForger(t, s)
	w.write("requests/a", "x")
	w.commit()
	info, err := openRepo(t, w.dir).Commit(context.Background(), w.git("rev-parse", "HEAD"))
	if err != nil || info.Signer != s.signer.Fingerprint() || !info.SignatureValid {
		t.Errorf("signer %q, valid %v, %v", info.Signer, info.SignatureValid, err)
	}
	if info.Message != "forged\n" || info.Committer != bot || len(info.Parents) != 1 {
		t.Errorf("commit %+v", info)
	}
}
