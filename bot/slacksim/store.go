package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// saveDelay is how long changes gather before they are written.
const saveDelay = 200 * time.Millisecond

// store writes the workspace to a file. A crash loses at most the changes of the last
// second: the file is replaced as a whole, never written in place.
type store struct {
	path     string
	snapshot func() []byte
	log      *slog.Logger

	mu      sync.Mutex // guards timer and closed
	timer   *time.Timer
	closed  bool
	writing sync.Mutex // one writer at a time
}

// stored is the form of the state file. Fields may be added; none may change its meaning.
type stored struct {
	Version  int              `json:"version"`
	LastTS   int64            `json:"last_ts"`
	Rule     GroupRule        `json:"group_rule"`
	Users    []User           `json:"users"`
	Channels []storedChannel  `json:"channels"`
	Groups   []*Group         `json:"groups"`
	Homes    map[string]*view `json:"homes"`
}

type storedChannel struct {
	Channel
	Messages []*message        `json:"messages"`
	Read     map[string]string `json:"read"`
}

// snapshot returns the state file's content.
func (s *Server) snapshot() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	ws := s.ws
	st := stored{Version: 1, LastTS: ws.lastTS, Rule: ws.rule, Groups: ws.groups, Homes: ws.homes}
	for _, id := range ws.order {
		st.Users = append(st.Users, *ws.users[id])
	}
	for _, id := range ws.chOrder {
		c := ws.channels[id]
		st.Channels = append(st.Channels, storedChannel{Channel: c.Channel, Messages: c.messages, Read: c.read})
	}
	return raw(st)
}

// load reads the state file into a new workspace: what the file knows wins, what it does
// not know stays as in the world.
func (st *store) load(ws *workspace) error {
	if st.path == "" {
		return nil
	}
	b, err := os.ReadFile(st.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("slacksim: read state: %w", err)
	}
	var in stored
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("slacksim: state file %s: %w", st.path, err)
	}
	if in.Version != 1 {
		return fmt.Errorf("slacksim: state file %s has version %d, want 1", st.path, in.Version)
	}
	ws.restore(in)
	return nil
}

func (ws *workspace) restore(in stored) {
	ws.lastTS, ws.rule = in.LastTS, in.Rule
	for _, u := range in.Users {
		ws.putUser(u)
	}
	for _, c := range in.Channels {
		ch := ws.putChannel(c.Channel)
		for _, m := range c.Messages {
			ch.add(m)
		}
		if c.Read != nil {
			ch.read = c.Read
		}
	}
	ws.groups = in.Groups
	if in.Homes != nil {
		ws.homes = in.Homes
	}
}

// changed plans a write.
func (st *store) changed() {
	if st.path == "" {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed || st.timer != nil {
		return
	}
	st.timer = time.AfterFunc(saveDelay, func() {
		st.mu.Lock()
		st.timer = nil
		st.mu.Unlock()
		if err := st.write(); err != nil {
			st.log.Error("state not saved", "error", err)
		}
	})
}

// write replaces the file.
func (st *store) write() error {
	st.writing.Lock()
	defer st.writing.Unlock()
	b := st.snapshot()
	f, err := os.CreateTemp(filepath.Dir(st.path), filepath.Base(st.path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), st.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("slacksim: save state: %w", err)
	}
	return nil
}

func (st *store) close() error {
	st.mu.Lock()
	was := st.closed
	st.closed = true
	if st.timer != nil {
		st.timer.Stop()
	}
	st.mu.Unlock()
	if st.path == "" || was {
		return nil
	}
	return st.write()
}
