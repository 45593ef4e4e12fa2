package slacksim

import (
	"regexp"
	"strings"
)

// What people type becomes tokens first; message text, rich text and command text are
// three ways to write these down.

type tokenKind int

const (
	tokenText tokenKind = iota
	tokenUser
	tokenChannel
	tokenGroup
	tokenBroadcast
	tokenLink
	tokenMail
)

type token struct {
	kind tokenKind
	id   string // of the user, channel or group; the address; "here"
	text string // as typed
}

var (
	typed    = regexp.MustCompile(`https?://[^\s<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[@#][\pL\pN][\pL\pN._-]*`)
	escaper  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	controls = regexp.MustCompile(`<([^<>]*)>`)
)

// tokens splits what a person typed. Names that nobody has stay text.
func (ws *workspace) tokens(s string) []token {
	var out []token
	text := func(s string) {
		if s != "" {
			out = append(out, token{kind: tokenText, text: s})
		}
	}
	for s != "" {
		at := typed.FindStringIndex(s)
		if at == nil {
			break
		}
		word := strings.TrimRight(s[at[0]:at[1]], ".,;:!?-")
		end := at[0] + len(word)
		text(s[:at[0]])
		if t, ok := ws.token(word); ok && wordStart(s, at[0]) {
			out = append(out, t)
		} else {
			text(word)
		}
		s = s[end:]
	}
	text(s)
	return out
}

// wordStart reports whether a word may begin at i: "a@b" mentions nobody.
func wordStart(s string, i int) bool {
	return i == 0 || !strings.ContainsAny(s[i-1:i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_&")
}

func (ws *workspace) token(word string) (token, bool) {
	switch {
	case strings.HasPrefix(word, "http"):
		return token{tokenLink, word, word}, true
	case strings.HasPrefix(word, "@"):
		return ws.mention(word)
	case strings.HasPrefix(word, "#"):
		if c := ws.channelByName(word[1:]); c != nil && !c.isIM() {
			return token{tokenChannel, c.ID, c.Name}, true
		}
		return token{}, false
	case strings.Contains(word, "@"):
		return token{tokenMail, word, word}, true
	}
	return token{}, false
}

func (ws *workspace) mention(word string) (token, bool) {
	name := word[1:]
	switch name {
	case "here", "channel", "everyone":
		return token{tokenBroadcast, name, word}, true
	}
	if u := ws.userByName(name); u != nil {
		return token{tokenUser, u.ID, u.Name}, true
	}
	if g := ws.groupByHandle(name); g != nil {
		return token{tokenGroup, g.ID, word}, true
	}
	return token{}, false
}

// mrkdwn is the text of a message: the form in which the API and events give it.
func mrkdwn(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		switch t.kind {
		case tokenUser:
			b.WriteString("<@" + t.id + ">")
		case tokenChannel:
			b.WriteString("<#" + t.id + "|" + t.text + ">")
		case tokenGroup:
			b.WriteString("<!subteam^" + t.id + "|" + t.text + ">")
		case tokenBroadcast:
			b.WriteString("<!" + t.id + ">")
		case tokenLink:
			b.WriteString("<" + escaper.Replace(t.id) + ">")
		case tokenMail:
			b.WriteString("<mailto:" + t.id + "|" + t.id + ">")
		default:
			b.WriteString(escaper.Replace(t.text))
		}
	}
	return b.String()
}

// commandText is the text of a slash command. Without should_escape, mentions stay as
// they were typed.
func commandText(typed string, tokens []token, shouldEscape bool) string {
	if !shouldEscape {
		return escaper.Replace(typed)
	}
	var b strings.Builder
	for _, t := range tokens {
		switch t.kind {
		case tokenUser:
			b.WriteString("<@" + t.id + "|" + t.text + ">")
		case tokenMail:
			b.WriteString(t.text)
		default:
			b.WriteString(mrkdwn([]token{t}))
		}
	}
	return b.String()
}

// richText are the elements of the rich_text block that Slack makes of typed text.
func richText(tokens []token) []any {
	elements := []any{}
	for _, t := range tokens {
		switch t.kind {
		case tokenUser:
			elements = append(elements, obj{"type": "user", "user_id": t.id})
		case tokenChannel:
			elements = append(elements, obj{"type": "channel", "channel_id": t.id})
		case tokenGroup:
			elements = append(elements, obj{"type": "usergroup", "usergroup_id": t.id})
		case tokenBroadcast:
			elements = append(elements, obj{"type": "broadcast", "range": t.id})
		case tokenLink:
			elements = append(elements, obj{"type": "link", "url": t.id})
		case tokenMail:
			elements = append(elements, obj{"type": "link", "url": "mailto:" + t.id, "text": t.id})
		default:
			elements = append(elements, obj{"type": "text", "text": t.text})
		}
	}
	return elements
}

// judgeText looks for what an app should not put into text that Slack interprets.
func (ws *workspace) judgeText(where, s string) {
	for _, m := range controls.FindAllStringSubmatch(s, -1) {
		ws.judgeControl(where, m[1])
	}
	rest := controls.ReplaceAllString(s, "")
	if strings.Contains(rest, "<") {
		ws.finds("unescaped", where+": a bare < in the text; escape & < and >", s)
	}
}

func (ws *workspace) judgeControl(where, inner string) {
	target, _, _ := strings.Cut(inner, "|")
	switch {
	case target == "!channel" || target == "!here" || target == "!everyone":
		ws.finds("mass_mention", where+": <"+inner+"> notifies everyone", inner)
	case strings.HasPrefix(target, "!subteam^"):
		if ws.group(strings.TrimPrefix(target, "!subteam^")) == nil {
			ws.finds("unknown_mention", where+": no such user group <"+inner+">", inner)
		}
	case strings.HasPrefix(target, "@"):
		if ws.users[target[1:]] == nil {
			ws.finds("unknown_mention", where+": no such user <"+inner+">", inner)
		}
	case strings.HasPrefix(target, "#"):
		if ws.channels[target[1:]] == nil {
			ws.finds("unknown_mention", where+": no such channel <"+inner+">", inner)
		}
	case strings.HasPrefix(target, "!date^"):
		judgeDate(ws, where, inner)
	case strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:"):
	default:
		ws.finds("unescaped", where+": <"+inner+"> is neither a link nor a mention; escape & < and >", inner)
	}
}

var dateForm = regexp.MustCompile(`^!date\^\d+\^[^^|]*\{[a-z_]+\}[^|]*\|.+$`)

func judgeDate(ws *workspace, where, inner string) {
	if !dateForm.MatchString(inner) {
		ws.finds("bad_date", where+": <"+inner+"> is not <!date^SECONDS^FORMAT|FALLBACK>", inner)
	}
}
