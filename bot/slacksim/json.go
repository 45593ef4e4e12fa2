package slacksim

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// obj is a JSON object. Payloads are built and read as plain JSON on purpose: there is no
// type in between that could smooth out what an app really sent.
type obj = map[string]any

func str(o obj, key string) string {
	s, _ := o[key].(string)
	return s
}

func sub(o obj, key string) obj {
	m, _ := o[key].(map[string]any)
	return m
}

func list(o obj, key string) []any {
	l, _ := o[key].([]any)
	return l
}

func flag(o obj, key string) bool {
	b, _ := o[key].(bool)
	return b
}

// raw marshals a value that is known to be marshalable.
func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`null`)
	}
	return b
}

// copyJSON returns a deep copy of a JSON value.
func copyJSON[T any](v T) T {
	var out T
	if err := json.Unmarshal(raw(v), &out); err != nil {
		return v
	}
	return out
}

// randomID returns n hexadecimal digits in upper case, as Slack's ids look.
func randomID(n int) string {
	b := make([]byte, (n+1)/2)
	_, _ = rand.Read(b) // never fails
	return strings.ToUpper(hex.EncodeToString(b))[:n]
}
