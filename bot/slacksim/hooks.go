package slacksim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

const maxHookUses = 5

// serveHook answers a POST to a response_url, which works five times within 30 minutes.
func (s *Server) serveHook(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	body := obj{}
	if err == nil {
		err = json.Unmarshal(b, &body)
	}
	if err != nil {
		s.trace.finding("invalid_payload", "response_url: the body is no JSON object", nil)
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	err = s.do(func(ws *workspace) error { return ws.useHook(r.PathValue("id"), body) })
	s.trace.add(Entry{Kind: "api", Title: "response_url", OK: err == nil, Detail: raw(obj{"args": body})})
	var e *apiError
	if errors.As(err, &e) {
		s.trace.finding(e.code, "response_url: "+e.code, e.extra)
		status := http.StatusOK
		if e.code == "expired_url" || e.code == "used_url" {
			status = http.StatusNotFound
		}
		out := obj{"ok": false, "error": e.code}
		for k, v := range e.extra {
			out[k] = v
		}
		writeJSON(w, status, out)
		return
	}
	writeJSON(w, http.StatusOK, obj{"ok": true})
}

func (ws *workspace) useHook(id string, body obj) error {
	h := ws.hooks[id]
	if h == nil || time.Now().After(h.expires) {
		return apiErr("expired_url")
	}
	if h.uses >= maxHookUses {
		return apiErr("used_url")
	}
	h.uses++
	if flag(body, "delete_original") {
		if h.message == nil {
			return apiErr("message_not_found")
		}
		ws.deleteMessage(h.ch, h.message)
		return nil
	}
	return ws.respond(h.ch, h.user, h.message, body)
}

// respond shows the answer to a command or click: a new message for the user or for
// everyone, or another content for the message that was clicked in.
func (ws *workspace) respond(ch *channel, user string, original *message, body obj) error {
	m, err := ws.content(body, maxPost)
	if err != nil {
		return err
	}
	if original != nil && flag(body, "replace_original") {
		ws.editMessage(ch, original, func() {
			original.Text, original.Blocks = m.Text, m.Blocks
			if original.Ephemeral == "" {
				original.EditedBy, original.EditedTS = ws.app.BotUser, ws.nextTS()
			}
		})
		return nil
	}
	if ts := str(body, "thread_ts"); ts != "" && ch.find(ts) != nil {
		m.Thread = ts
	}
	switch str(body, "response_type") {
	case "", "ephemeral":
		ws.ephemeral(ch, m, user)
	case "in_channel":
		ws.postMessage(ch, m)
	default:
		return apiErr("invalid_response_type")
	}
	return nil
}
