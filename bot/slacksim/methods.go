package slacksim

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// apiMethods is the table of what the Web API offers.
func apiMethods() map[string]method {
	bot, user := []string{botToken}, []string{botToken, userToken}
	write := func(perMinute int, run func(*call) (obj, error), scopes ...string) method {
		return method{tokens: user, scopes: scopes, json: true, perMinute: perMinute, run: run}
	}
	read := func(perMinute int, run func(*call) (obj, error), scopes ...string) method {
		return method{tokens: user, scopes: scopes, perMinute: perMinute, run: run}
	}
	view := func(run func(*call) (obj, error)) method {
		return method{tokens: bot, json: true, perMinute: 100, run: run}
	}
	return map[string]method{
		"auth.test":             write(0, authTest),
		"apps.connections.open": {tokens: []string{appToken}, scopes: []string{"connections:write"}, json: true, perMinute: 50, run: connectionsOpen},

		"chat.postMessage":   write(60, chatPost, "chat:write"),
		"chat.update":        write(50, chatUpdate, "chat:write"),
		"chat.delete":        write(50, chatDelete, "chat:write"),
		"chat.postEphemeral": write(100, chatEphemeral, "chat:write"),
		"chat.getPermalink":  read(0, chatPermalink),

		"views.open":    view(viewsOpen),
		"views.push":    view(viewsPush),
		"views.update":  view(viewsUpdate),
		"views.publish": view(viewsPublish),

		"conversations.info":    read(50, conversationsInfo),
		"conversations.list":    read(20, conversationsList),
		"conversations.members": read(100, conversationsMembers),
		"conversations.open":    write(50, conversationsOpen, "im:write"),
		"conversations.history": read(50, conversationsHistory),
		"conversations.replies": read(50, conversationsReplies),

		"users.info":          read(100, usersInfo, "users:read"),
		"users.list":          read(20, usersList, "users:read"),
		"users.lookupByEmail": read(50, usersLookup, "users:read.email"),
		"bots.info":           read(50, botsInfo, "users:read"),
		"team.info":           read(50, teamInfo, "team:read"),

		"usergroups.list":         read(20, groupsList, "usergroups:read"),
		"usergroups.create":       write(20, groupsCreate, "usergroups:write"),
		"usergroups.update":       write(20, groupsUpdate, "usergroups:write"),
		"usergroups.enable":       write(20, groupsEnable, "usergroups:write"),
		"usergroups.disable":      write(20, groupsDisable, "usergroups:write"),
		"usergroups.users.list":   read(20, groupUsersList, "usergroups:read"),
		"usergroups.users.update": write(20, groupUsersUpdate, "usergroups:write"),
	}
}

func readMultipart(body []byte, boundary string, take func(url.Values)) error {
	form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(bodyLimit)
	if err != nil && err != io.EOF {
		return err
	}
	take(form.Value)
	return nil
}

func authTest(c *call) (obj, error) {
	out := obj{
		"url": "https://" + c.ws.team.Domain + ".slack.com/", "team": c.ws.team.Name, "team_id": c.ws.team.ID,
		"user_id": c.user, "user": c.ws.users[c.user].Name, "is_enterprise_install": false,
	}
	if c.kind == botToken {
		out["bot_id"] = c.ws.app.BotID
	}
	return out, nil
}

// ticketLife is how long the address of a socket can be used.
const ticketLife = 30 * time.Second

func connectionsOpen(c *call) (obj, error) {
	if tooMany, _ := c.s.limits.count("opened sockets", 50); tooMany {
		c.ws.finds("reconnect_storm", "apps.connections.open more than 50 times in a minute", nil)
	}
	ticket := lower(randomID(32))
	c.s.tickets[ticket] = time.Now().Add(ticketLife)
	base := strings.Replace(c.base, "http", "ws", 1)
	return obj{"url": base + "/socket/" + ticket + "?app_id=" + c.ws.app.ID}, nil
}

// useTicket takes a ticket, which works once.
func (s *Server) useTicket(ticket string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.tickets[ticket]
	delete(s.tickets, ticket)
	for t, at := range s.tickets {
		if time.Now().After(at) {
			delete(s.tickets, t)
		}
	}
	return known && time.Now().Before(until)
}

// page cuts the part that a cursor and limit ask for out of n items.
func (c *call) page(n, fallback, most int) (from, to int, next string, err error) {
	limit := fallback
	if s := c.str("limit"); s != "" {
		limit, err = strconv.Atoi(s)
		if err != nil || limit < 0 {
			return 0, 0, "", apiErr("invalid_limit")
		}
	}
	if limit == 0 {
		limit = fallback
	}
	limit = min(limit, most)
	if cursor := c.str("cursor"); cursor != "" {
		b, err := base64.StdEncoding.DecodeString(cursor)
		from, bad := strconv.Atoi(strings.TrimPrefix(string(b), "next:"))
		if err != nil || bad != nil || from < 0 || from > n {
			return 0, 0, "", apiErr("invalid_cursor")
		}
		return cutPage(from, limit, n)
	}
	return cutPage(0, limit, n)
}

func cutPage(from, limit, n int) (int, int, string, error) {
	to := min(from+limit, n)
	if to == n {
		return from, to, "", nil
	}
	return from, to, base64.StdEncoding.EncodeToString([]byte("next:" + strconv.Itoa(to))), nil
}

func cursor(next string) obj { return obj{"next_cursor": next} }
