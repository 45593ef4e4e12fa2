package slacksim

import (
	"net/http"
	"slices"
	"strings"
)

func (s *Server) getSidebar(w http.ResponseWriter, r *http.Request) {
	connected := s.hub.connected() > 0 || s.hub.byWeb()
	s.reader(w, r, func(ws *workspace, u *User) (obj, error) {
		channels, dms := []any{}, []any{}
		for _, id := range ws.chOrder {
			c := ws.channels[id]
			unread, mention := ws.unread(c, u)
			switch {
			case c.isIM() && c.User == u.ID:
				dms = append(dms, obj{"id": c.ID, "user": ws.app.BotUser, "name": ws.app.Name, "unread": unread})
			case c.isIM() || (!c.has(u.ID) && (c.Private || u.Guest || u.SingleChannel || ws.foreign(u))):
			default:
				channels = append(channels, obj{
					"id": c.ID, "name": c.Name, "private": c.Private, "shared": c.Shared, "member": c.has(u.ID),
					"unread": unread, "mention": mention,
				})
			}
		}
		home := !ws.app.NoHome && !ws.foreign(u)
		return obj{"channels": channels, "dms": dms, "connected": connected, "home": home}, nil
	})
}

// unread counts what a member has not read, and whether any of it mentions them.
func (ws *workspace) unread(c *channel, u *User) (n int, mention bool) {
	if !c.has(u.ID) {
		return 0, false
	}
	read := c.read[u.ID]
	for _, m := range slices.Backward(c.messages) {
		if compareTS(m.TS, read) <= 0 {
			break
		}
		if m.User == u.ID || (m.Ephemeral != "" && m.Ephemeral != u.ID) {
			continue
		}
		mine := ws.mentions(m, u)
		if m.Thread == "" || mine {
			n++
		}
		mention = mention || mine
	}
	return n, mention
}

// mentions reports whether a message names the user, a group of theirs, or everyone.
func (ws *workspace) mentions(m *message, u *User) bool {
	text := m.Text
	if m.Blocks != nil {
		text += unescapedJSON(m.Blocks)
	}
	if strings.Contains(text, "<@"+u.ID) || strings.Contains(text, "<!channel") || strings.Contains(text, "<!here") {
		return true
	}
	return slices.ContainsFunc(ws.groups, func(g *Group) bool {
		return slices.Contains(g.Users, u.ID) && strings.Contains(text, "<!subteam^"+g.ID)
	})
}

// unescapedJSON is JSON with its angle brackets as they are.
func unescapedJSON(v any) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(raw(v)))
}
