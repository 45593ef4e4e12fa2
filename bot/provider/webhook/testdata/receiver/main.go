// Receiver is a receiver of webhooks to begin with: who has the access is one
// file a person below the directory members. Put your own system in its place.
//
//	RECEIVER_SECRET=whsec_… receiver 127.0.0.1:8090 DIR
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

type order struct {
	Action, Request, Principal, Resource string
	ExpiresAt                            time.Time `json:"expires_at"`
}

type receiver struct {
	key []byte
	dir string
	mu  sync.Mutex // one order at a time
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 64<<10))
	id, at := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	if sent, _ := strconv.ParseInt(at, 10, 64); err != nil || time.Since(time.Unix(sent, 0)).Abs() > 5*time.Minute || !r.signed(id+"."+at+"."+string(body), req.Header.Get("webhook-signature")) {
		http.Error(w, "not signed by the bot, or not now", http.StatusUnauthorized)
		return
	}
	var o order
	if err := json.Unmarshal(body, &o); err != nil || o.Action != "grant" && o.Action != "revoke" || o.Action == "grant" && time.Now().After(o.ExpiresAt) {
		http.Error(w, "no order, or one that came too late", http.StatusUnprocessableEntity)
		return
	}
	member := filepath.Join(r.dir, "members", name(o.Resource+"\n"+o.Principal))
	noted := filepath.Join(r.dir, "answers", name(id))
	answer, err := os.ReadFile(noted) // a repeated order is answered as at first,
	if err != nil {
		_, err = os.Stat(member)
		present := err == nil
		answer = fmt.Appendf(nil, `{"changed":%t,"present_before":%t}`, present == (o.Action == "revoke"), present)
		err = write(noted, answer) // which is noted before acting,
	}
	if err == nil && o.Action == "grant" { // and carried out all the same
		err = write(member, body)
	} else if err == nil {
		err = os.RemoveAll(member)
	}
	if err != nil {
		http.Error(w, "cannot do it: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(answer)
}

// signed compares with each signature of the header: there are two while a
// secret is changed.
func (r *receiver) signed(content, header string) bool {
	mac := hmac.New(sha256.New, r.key)
	io.WriteString(mac, content)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for s := range strings.FieldsSeq(header) {
		if hmac.Equal([]byte(s), want) {
			return true
		}
	}
	return false
}

// write leaves the whole file or none behind.
func write(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// name makes a file's name that nobody can choose.
func name(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("RECEIVER_SECRET"), "whsec_"))
	if err != nil || len(key) < 16 || len(os.Args) != 3 {
		log.Fatal("usage: RECEIVER_SECRET=whsec_… receiver ADDRESS DIR")
	}
	for _, d := range []string{"members", "answers"} {
		if err := os.MkdirAll(filepath.Join(os.Args[2], d), 0o700); err != nil {
			log.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", l.Addr())
	log.Fatal(http.Serve(l, &receiver{key: key, dir: os.Args[2]}))
}
