// World is a program that gives access by files, and is stricter than a real
// one: what is not just as the package says makes it fail.
//
//	world DIR NAME
//
// DIR/NAME has a file a holder, DIR/answers what was answered, and DIR/fault
// makes the next call go wrong.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	want := []string{"LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC"}
	if got := slices.Sorted(slices.Values(os.Environ())); !slices.Equal(got, want) {
		log.Fatalf("environment %q", got)
	}
	if syscall.Getpgrp() != os.Getpid() {
		log.Fatal("not the leader of a process group")
	}
	here, err := os.Getwd()
	must(err)
	if _, err := os.Stat(filepath.Join(here, "world")); err != nil || len(os.Args) != 3 {
		log.Fatalf("working directory %s, arguments %q", here, os.Args)
	}
	order := read()
	dir := os.Args[1]
	fault, _ := os.ReadFile(filepath.Join(dir, "fault"))
	come := func() { os.Remove(filepath.Join(dir, "fault")) }
	if string(fault) == "hangs" {
		come()
		time.Sleep(time.Hour)
	}
	if string(fault) == "fails" {
		come()
		log.Fatal("injected")
	}
	answer := act(dir, order)
	come() // only now: who waits for it ends this program
	if string(fault) == "hangs after" {
		time.Sleep(time.Hour)
	}
	if string(fault) == "fails after" {
		fmt.Println(answer)
		os.Exit(1)
	}
	fmt.Println(answer)
}

// read takes the order, which must be one line with these keys and no others.
func read() map[string]string {
	in := bufio.NewReader(os.Stdin)
	text, err := in.ReadString('\n')
	must(err)
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		log.Fatalf("more than a line: %q", rest)
	}
	var order map[string]string
	must(json.Unmarshal([]byte(text), &order))
	_, err = time.Parse("2006-01-02T15:04:05Z", order["expires_at"])
	must(err)
	if len(order) != 5 || order["request"] == "" || order["resource"] == "" || order["principal"] == "" {
		log.Fatalf("order %v", order)
	}
	return order
}

func act(dir string, order map[string]string) string {
	holder := filepath.Join(dir, os.Args[2], order["principal"])
	_, err := os.Stat(holder)
	present, grant := err == nil, order["action"] == "grant"
	if !grant && order["action"] != "revoke" {
		log.Fatalf("action %q", order["action"])
	}
	noted := filepath.Join(dir, "answers", fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, os.Args, order))))
	answer, err := os.ReadFile(noted)
	if err != nil {
		answer = fmt.Appendf(nil, `{"changed":%t,"present_before":%t}`, present != grant, present)
		must(os.WriteFile(noted, answer, 0o600))
	}
	if grant {
		must(os.WriteFile(holder, nil, 0o600))
	} else {
		must(os.RemoveAll(holder))
	}
	return string(answer)
}
