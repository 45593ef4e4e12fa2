package github_test

import (
	"net/http"
	"slices"
	"strconv"
)

// roleOf and permissionOf are the two words that GitHub has for one thing.
func roleOf(permission string) string {
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
func (h *hub) repo(r *http.Request, body []byte, name string, rest []string) reply {
	at := h.repos[name]
	if at == nil || h.blind {
		return notFound()
	}
	switch {
	case r.Method == "GET" && len(rest) == 1 && rest[0] == "collaborators":
		return h.page(r, h.collaborators(at))
	case r.Method == "GET" && len(rest) == 1 && rest[0] == "invitations":
		var all []any
		for _, i := range at.invites {
			all = append(all, h.invitation(i, name))
		}
		return h.page(r, all)
	case r.Method == "DELETE" && len(rest) == 2 && rest[0] == "invitations":
		n := slices.IndexFunc(at.invites, func(i invite) bool { return strconv.FormatInt(i.id, 10) == rest[1] })
		if n < 0 {
			return notFound()
		}
		at.invites = slices.Delete(at.invites, n, n+1)
		return reply{status: http.StatusNoContent}
	case r.Method == "PUT" && len(rest) == 2 && rest[0] == "collaborators":
		return h.collaborate(at, body, name, rest[1])
	case r.Method == "DELETE" && len(rest) == 2 && rest[0] == "collaborators":
		id, _ := h.byLogin(rest[1])
		if at.direct[id] == "" {
			h.t.Errorf("DELETE of %s, who is no direct collaborator of %s", rest[1], name)
		}
		delete(at.direct, id)
		return reply{status: http.StatusNoContent}
	}
	h.t.Errorf("%s %s of a repository is not documented", r.Method, rest)
	return notFound()
}

// collaborators are the direct ones, each with the highest of its roles.
func (h *hub) collaborators(at *repo) []any {
	var all []any
	for id := range int64(200) {
		role := at.direct[id]
		if role == "" {
			continue
		}
		if t := at.through[id]; slices.Index(ranks(), t) > slices.Index(ranks(), role) {
			role = t
		}
		rank := slices.Index(ranks(), role)
		if rank < 0 {
			rank = 2 // of the organization's own making, based on write
		}
		u := h.simple(id)
		u["role_name"] = role
		u["permissions"] = map[string]bool{"pull": true, "triage": rank >= 1, "push": rank >= 2, "maintain": rank >= 3, "admin": rank >= 4}
		all = append(all, u)
	}
	return all
}

func (h *hub) invitation(i invite, name string) map[string]any {
	return map[string]any{
		"id": i.id, "node_id": "RI_x", "invitee": h.simple(i.who), "inviter": h.simple(106), "permissions": i.role, "expired": i.expired,
		"created_at": "2026-11-23T10:00:00Z", "html_url": "https://github.com/" + name + "/invitations", "url": h.url + "/user/repository_invitations/1",
	}
}

func (h *hub) collaborate(at *repo, body []byte, name, login string) reply {
	var want struct{ Permission string }
	h.strict(body, &want)
	role := roleOf(want.Permission)
	id, known := h.byLogin(login)
	switch {
	case !slices.Contains(ranks(), role):
		h.t.Errorf("PUT a permission %q", want.Permission)
		return refuse(422, "Validation Failed")
	case !known:
		return notFound()
	case h.owners[id]:
		return reply{status: http.StatusNoContent}
	case at.direct[id] != "":
		h.t.Errorf("PUT changes what %s has of %s: %s", login, name, at.direct[id])
	case slices.ContainsFunc(at.invites, func(i invite) bool { return i.who == id }):
		h.t.Errorf("PUT invites %s to %s again", login, name)
	}
	if h.members[id] {
		at.direct[id] = role
		return reply{status: http.StatusNoContent}
	}
	h.last++
	i := invite{id: h.last, who: id, role: role}
	at.invites = append(at.invites, i)
	a := ok(h.invitation(i, name))
	a.status = http.StatusCreated
	return a
}
