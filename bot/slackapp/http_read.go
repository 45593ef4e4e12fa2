package slackapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// delivery is one thing that Slack brought by a request.
type delivery struct {
	kind      string // of the envelope that it would be over a socket
	payload   payload
	key       string // which delivery it is, where it says so itself
	challenge string // Slack asks whether the address is ours
}

// reader reads what arrives at one path. A signature covers neither the path nor the
// type of the content, so what was signed for one path must not pass as something
// else at another: each takes one form only, and reads it strictly.
type reader struct {
	form  string // content type
	parse func(body []byte) (delivery, error)
}

// reading is the reader of a path; the zero one where there is none.
func reading(path string) reader {
	const form = "application/x-www-form-urlencoded"
	switch path {
	case pathEvents:
		return reader{"application/json", readEvent}
	case pathCommands:
		return reader{form, readCommand}
	case pathInteractive:
		return reader{form, readInteraction}
	case pathOptions:
		return reader{form, readOptions}
	}
	return reader{}
}

// takes reports whether the headers announce what is read here.
func (r reader) takes(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == r.form && h.Get("Content-Encoding") == ""
}

// certificate reports whether a body is that of Slack's test of certificates, which
// is not signed. Nothing else in it counts.
func (r reader) certificate(body []byte) bool {
	form, err := fields(body)
	return r.form != "application/json" && err == nil && form["ssl_check"] == "1"
}

func readEvent(body []byte) (delivery, error) {
	p, err := whole(body)
	if err != nil {
		return delivery{}, err
	}
	d := delivery{kind: "events_api", payload: p}
	switch p.str("type") {
	case "url_verification":
		if d.challenge = p.str("challenge"); d.challenge == "" {
			return delivery{}, errors.New("there is no challenge")
		}
	case "event_callback":
		// All attempts of Slack's to deliver an event carry its id.
		if id := p.str("event_id"); id != "" {
			d.key = "event " + id
		}
	default:
		d.kind = p.str("type") // such as app_rate_limited: nothing is to be done
	}
	return d, nil
}

func readCommand(body []byte) (delivery, error) {
	form, err := fields(body)
	if err != nil {
		return delivery{}, err
	}
	if form["command"] == "" || form["user_id"] == "" {
		return delivery{}, errors.New("there is no command")
	}
	return delivery{kind: "slash_commands", payload: payload(object(form))}, nil
}

func readInteraction(body []byte) (delivery, error) {
	form, err := fields(body)
	if err != nil {
		return delivery{}, err
	}
	p, err := whole([]byte(form["payload"]))
	return delivery{kind: "interactive", payload: p}, err
}

func readOptions(body []byte) (delivery, error) {
	d, err := readInteraction(body)
	if err == nil && d.payload.str("type") != "block_suggestion" {
		err = errors.New("only options are asked for here")
	}
	return d, err
}

// whole is a body that is one JSON object.
func whole(body []byte) (payload, error) {
	if p := payload(body); p.first() == '{' && json.Valid(body) {
		return p, nil
	}
	return nil, errors.New("it is no JSON object")
}

// fields reads a form in which each name is plain and comes once. Thereby JSON, in
// which people's text stands, is never read as a form.
func fields(body []byte) (map[string]string, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("it is no form")
	}
	form := make(map[string]string, len(values))
	for name, all := range values {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" || len(all) != 1 {
			return nil, fmt.Errorf("the field %.20q is odd", name)
		}
		form[name] = all[0]
	}
	return form, nil
}
