package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// startdemo starts the demo in $WORK/demo. Its page becomes $DEMO.
func startdemo(s *story, args []string) error {
	base, err := s.launch(s.environment(), "Open   http://", append([]string{"demo", "-v", "--dir", s.path("demo"), "--listen", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return err
	}
	s.addr = base
	s.ts.Setenv("DEMO", "http://"+base)
	if !wait(s.isReady) {
		return errors.New("the demo does not become ready")
	}
	return nil
}

// deed does what the demo's page does for a person: a JSON object of /sim/act.
func deed(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	resp, err := http.Post("http://"+s.addr+"/sim/act", "application/json", strings.NewReader(args[0]))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(body), `"ok":true`) {
		err = fmt.Errorf("the page is told %s", body)
	}
	return err
}

// finds waits until the demo's page shows a button on the newest request's message,
// or, negated, until it does not. The message becomes $TS, the request $ID.
func finds(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	ok := wait(func() bool {
		m, err := s.newest()
		text, _ := json.Marshal(m["blocks"])
		there := strings.Contains(string(text), `"action_id":"`+args[0]+`"`)
		return err == nil && there != s.neg
	})
	if !ok {
		return fmt.Errorf("the button %s is there: %v", args[0], s.neg)
	}
	m, err := s.newest()
	if err != nil {
		return err
	}
	s.ts.Setenv("TS", fmt.Sprint(m["ts"]))
	s.ts.Setenv("ID", fmt.Sprint(m["metadata"].(map[string]any)["event_payload"].(map[string]any)["request"]))
	return nil
}

// newest is the newest message with metadata in the demo's approval channel.
func (w *world) newest() (map[string]any, error) {
	resp, err := http.Get("http://" + w.addr + "/sim/channel?" + url.Values{"as": {userID("bob")}, "id": {channelID()}}.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var page struct{ Messages []map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return nil, err
	}
	for i := len(page.Messages) - 1; i >= 0; i-- {
		if page.Messages[i]["metadata"] != nil {
			return page.Messages[i], nil
		}
	}
	return nil, errors.New("there is no such message")
}
