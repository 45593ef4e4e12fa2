package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
)

// act is the body of POST /sim/act: one deed of one person.
type act struct {
	As         string `json:"as"`
	Do         string `json:"do"`
	Channel    string `json:"channel"`
	Text       string `json:"text"`
	TS         string `json:"ts"`
	ThreadTS   string `json:"thread_ts"`
	CallbackID string `json:"callback_id"`
	Container  string `json:"container"`
	ViewID     string `json:"view_id"`
	BlockID    string `json:"block_id"`
	ActionID   string `json:"action_id"`
	Value      any    `json:"value"`
	Values     obj    `json:"values"`
	Query      string `json:"query"`
	All        bool   `json:"all"`
	Fault
}

// ref is where the deed happens. A Home tab needs no view_id.
func (s *Server) ref(in act) Ref {
	if in.Container == "home" && in.ViewID == "" {
		return InView(s.As(in.As).Home().ID())
	}
	if in.ViewID != "" {
		return InView(in.ViewID)
	}
	return InMessage(in.Channel, in.TS)
}

// postAct answers POST /sim/act.
func (s *Server) postAct(w http.ResponseWriter, r *http.Request) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "the body must be application/json")
		return
	}
	var in act
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit)).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "the body is no JSON object: "+err.Error())
		return
	}
	a := s.As(in.As)
	a.base = s.baseURL(r)
	out, err := s.perform(a, in)
	switch {
	case errors.Is(err, ErrNoAck), errors.Is(err, ErrNotConnected):
		if out == nil {
			out = obj{}
		}
		out["ok"] = true
		if out["notice"] == nil {
			out["notice"] = "Something went wrong: " + err.Error() + "."
		}
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
		return
	case out == nil:
		out = obj{"ok": true}
	}
	writeJSON(w, http.StatusOK, out)
}

func ok(key string, v any) obj { return obj{"ok": true, key: v} }

// perform does one deed.
func (s *Server) perform(a *Actor, in act) (obj, error) {
	switch in.Do {
	case "post":
		return s.performPost(a, in)
	case "edit":
		return nil, a.Edit(in.Channel, in.TS, in.Text)
	case "delete":
		return nil, a.Delete(in.Channel, in.TS)
	case "command":
		return performCommand(a, in.Channel, in.Text)
	case "shortcut":
		return nil, a.Shortcut(in.CallbackID)
	case "action":
		return nil, a.act(s.ref(in), in.BlockID, in.ActionID, in.Value, in.Values)
	case "suggest":
		found, err := a.Suggest(s.ref(in), in.BlockID, in.ActionID, in.Query)
		return obj{"ok": true, "options": found.Options, "option_groups": found.Groups}, err
	case "submit":
		return performSubmit(a, in)
	case "close":
		return nil, a.closeView(in.ViewID, in.All)
	case "home":
		return nil, a.OpenHome()
	case "join":
		return nil, a.Join(in.Channel)
	case "leave":
		return nil, a.Leave(in.Channel)
	case "read":
		return nil, a.Read(in.Channel)
	case "fault":
		return nil, s.Fault(in.Fault)
	}
	return nil, fmt.Errorf("unknown deed %q", in.Do)
}

func (s *Server) performPost(a *Actor, in act) (obj, error) {
	if in.ThreadTS == "" && s.command(in.Text) != nil {
		return performCommand(a, in.Channel, in.Text)
	}
	ts, err := a.Reply(in.Channel, in.ThreadTS, in.Text)
	return ok("ts", ts), err
}

func performCommand(a *Actor, channel, text string) (obj, error) {
	notice, err := a.Command(channel, text)
	if notice != "" {
		return ok("notice", notice), err
	}
	return nil, err
}

func performSubmit(a *Actor, in act) (obj, error) {
	problems, err := a.submit(in.ViewID, in.Values)
	if len(problems) > 0 {
		return obj{"errors": problems}, err
	}
	return nil, err
}
