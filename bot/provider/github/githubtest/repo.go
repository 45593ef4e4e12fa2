package githubtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// RoleOf and permissionOf are the two words that GitHub has for one thing.
func RoleOf(permission string) string {
	switch permission {
	case "pull":
		return "read"
	case "push":
		return "write"
	}
	return permission
}

func ranks() []string { return []string{"read", "triage", "write", "maintain", "admin"} }

// repo answers what is below a repository, with the mutex held.
func (h *Hub) repo(r *http.Request, body []byte, name string, rest []string) Reply {
	at := h.Repos[name]
	if at == nil || h.Blind {
		return NotFound()
	}
	switch {
	case rest[0] == "pulls":
		return h.pulls(r, body, name, at, rest)
	case r.Method == "DELETE" && len(rest) > 3 && rest[0] == "git" && rest[1] == "refs" && rest[2] == "heads":
		return h.dropRef(at, strings.Join(rest[3:], "/"))
	case r.Method == "GET" && len(rest) > 2 && rest[0] == "rules" && rest[1] == "branches":
		var all []any
		for _, kind := range append(at.Rules["*"], at.Rules[strings.Join(rest[2:], "/")]...) {
			all = append(all, map[string]any{"type": kind, "ruleset_id": 3, "ruleset_source_type": "Repository", "parameters": map[string]any{}})
		}
		return h.page(r, all)
	case r.Method == "GET" && len(rest) == 2 && rest[0] == "rulesets":
		return OK(map[string]any{"id": 3, "name": "protect", "current_user_can_bypass": "never"})
	case r.Method == "GET" && len(rest) > 1 && rest[0] == "branches":
		branch := strings.Join(rest[1:], "/")
		if _, err := at.git("rev-parse", "--verify", "refs/heads/"+branch); err != nil {
			return NotFound()
		}
		return OK(map[string]any{"name": branch, "protection": map[string]any{"enabled": false}})
	case r.Method == "GET" && len(rest) == 1 && rest[0] == "collaborators":
		return h.page(r, h.collaborators(at))
	case r.Method == "GET" && len(rest) == 1 && rest[0] == "invitations":
		var all []any
		for _, i := range at.Invites {
			all = append(all, h.Invitation(i, name))
		}
		return h.page(r, all)
	case r.Method == "DELETE" && len(rest) == 2 && rest[0] == "invitations":
		n := slices.IndexFunc(at.Invites, func(i Invite) bool { return strconv.FormatInt(i.ID, 10) == rest[1] })
		if n < 0 {
			return NotFound()
		}
		at.Invites = slices.Delete(at.Invites, n, n+1)
		return Reply{Status: http.StatusNoContent}
	case r.Method == "PUT" && len(rest) == 2 && rest[0] == "collaborators":
		return h.collaborate(at, body, name, rest[1])
	case r.Method == "DELETE" && len(rest) == 2 && rest[0] == "collaborators":
		id, _ := h.byLogin(rest[1])
		if at.Direct[id] == "" {
			h.report("DELETE of %s, who is no direct collaborator of %s", rest[1], name)
		}
		delete(at.Direct, id)
		return Reply{Status: http.StatusNoContent}
	}
	h.report("%s %s of a repository is not documented", r.Method, rest)
	return NotFound()
}

// collaborators are the direct ones, each with the highest of its roles.
func (h *Hub) collaborators(at *Repo) []any {
	var all []any
	for id := range int64(200) {
		role := at.Direct[id]
		if role == "" {
			continue
		}
		if t := at.Through[id]; slices.Index(ranks(), t) > slices.Index(ranks(), role) {
			role = t
		}
		rank := slices.Index(ranks(), role)
		if rank < 0 {
			rank = 2 // of the organization's own making, based on write
		}
		u := h.Show(id)
		u["role_name"] = role
		u["permissions"] = map[string]bool{"pull": true, "triage": rank >= 1, "push": rank >= 2, "maintain": rank >= 3, "admin": rank >= 4}
		all = append(all, u)
	}
	return all
}

// Invitation is one as GitHub shows it.
func (h *Hub) Invitation(i Invite, name string) map[string]any {
	var who any // nobody's account yet
	if !i.Mailed {
		who = h.Show(i.Who)
	}
	return map[string]any{
		"id": i.ID, "node_id": "RI_x", "invitee": who, "inviter": h.Show(106), "permissions": i.Role, "expired": i.Expired,
		"created_at": "2026-11-23T10:00:00Z", "html_url": "https://github.com/" + name + "/invitations", "url": h.URL + "/user/repository_invitations/1",
	}
}

func (h *Hub) collaborate(at *Repo, body []byte, name, login string) Reply {
	var want struct{ Permission string }
	h.strict(body, &want)
	role := RoleOf(want.Permission)
	id, known := h.byLogin(login)
	switch {
	case !slices.Contains(ranks(), role):
		h.report("PUT a permission %q", want.Permission)
		return Refuse(422, "Validation Failed")
	case !known:
		return NotFound()
	case h.Owners[id]:
		return Reply{Status: http.StatusNoContent}
	case at.Direct[id] != "":
		h.report("PUT changes what %s has of %s: %s", login, name, at.Direct[id])
	case slices.ContainsFunc(at.Invites, func(i Invite) bool { return i.Who == id }):
		h.report("PUT invites %s to %s again", login, name)
	}
	if h.Members[id] {
		at.Direct[id] = role
		return Reply{Status: http.StatusNoContent}
	}
	h.last++
	i := Invite{ID: h.last, Who: id, Role: role}
	at.Invites = append(at.Invites, i)
	a := OK(h.Invitation(i, name))
	a.Status = http.StatusCreated
	return a
}
