// Package browser starts headless browsers for the tests of what people see.
package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// programs are the browsers that will do, the best first. The headless shell is
// the same engine without the windows, menus and services around it: a third of
// the work. Debian's is named by its path, since the script of that name on the
// PATH would be killed in its place.
var programs = []string{
	"/usr/lib/chromium/chromium-headless-shell", "chrome-headless-shell",
	"chromium", "chromium-browser", "google-chrome",
}

// Start starts a browser, which ends with the test. Without one on this machine,
// and in short mode, the test is skipped.
func Start(t testing.TB, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser is not started in short mode")
	}
	program := find()
	if program == "" {
		t.Skipf("no browser: none of %q is installed", programs)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU, chromedp.Env("LANGUAGE=en_US", "LANG=en_US.UTF-8"),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-US"),
		chromedp.Flag("hide-scrollbars", true))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(opts, flags...)...)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(func() { end(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return ctx
}

// Close ends a server whose pages a browser has open. Such a page connects again as
// soon as its connection is closed, and a server waits for all that it has.
func Close(s *httptest.Server) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Close()
	}()
	for {
		s.CloseClientConnections()
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Dark is for people who ask for dark pages.
func Dark() chromedp.ExecAllocatorOption {
	return chromedp.Flag("blink-settings", "preferredColorScheme=0")
}

// Settled does something in the page; where the page goes away meanwhile, in the
// one that comes next. What is done must bear to be done twice.
func Settled[T any](ctx context.Context, step chromedp.Action[T]) (T, error) {
	for {
		got, err := chromedp.Run(ctx, step)
		if !gone(err) || ctx.Err() != nil {
			return got, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// gone reports whether an error says that the page went away. It has no code of
// its own, only words.
func gone(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "navigated or closed") || strings.Contains(err.Error(), "context was destroyed"))
}

func find() string {
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// axeVersion is the version of axe-core that judges the pages.
const axeVersion = "4.14.1"

// AxeCore is the source of axe-core, which looks for what keeps people out of a
// page. It comes from the npm registry; without npm or network the test is skipped.
func AxeCore(t testing.TB) string {
	t.Helper()
	source, err := axeCore()
	if err != nil {
		t.Skip("no axe-core:", err)
	}
	return source
}

// axeCore fetches it once for all tests of a package.
var axeCore = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "axe-core")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "axe-core@"+axeVersion)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return "", err
	}
	return unpack(data, "package/axe.min.js")
})

// unpack returns one file of a compressed archive.
func unpack(data []byte, name string) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return "", errors.New("the archive has no " + name)
		}
		if err != nil {
			return "", err
		}
		if h.Name == name {
			text, err := io.ReadAll(r)
			return string(text), err
		}
	}
}
