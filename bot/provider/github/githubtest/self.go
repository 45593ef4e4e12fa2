package githubtest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// own is what the token's account is in an organization.
func (h *Hub) own(org string) Reply {
	switch {
	case h.Self == 0:
		return Refuse(403, "Resource not accessible by integration")
	case org != "acme" || !h.Members[h.Self]:
		return NotFound()
	}
	role := map[bool]string{false: "member", true: "admin"}[h.Owners[h.Self]]
	return OK(map[string]any{"state": "active", "role": role, "user": h.Show(h.Self), "organization": map[string]any{"login": org, "id": 7}})
}

// look is a repository, with what the token may do there; of an App that is not told.
func (h *Hub) look(name string) Reply {
	at := h.Repos[name]
	if at == nil || h.Blind {
		return NotFound()
	}
	one := map[string]any{"id": 9, "full_name": name, "private": true}
	if h.Self != 0 {
		role := at.Direct[h.Self]
		if role == "" {
			role = at.Through[h.Self]
		}
		one["permissions"] = map[string]bool{"pull": role != "", "push": role == "write" || role == "admin", "admin": role == "admin"}
	}
	return OK(one)
}

// inTeam are those who are in a team or in one below it; who was only invited is not.
func (h *Hub) inTeam(r *http.Request, name string) Reply {
	t := h.Teams[name]
	if t == nil || h.Blind {
		return NotFound()
	}
	role := r.URL.Query().Get("role")
	if !slices.Contains([]string{"", "all", "member", "maintainer"}, role) {
		h.report("members with role %q", role)
	}
	in := map[int64]string{}
	for id := range t.Below {
		in[id] = "member"
	}
	for id, as := range t.Members {
		if !strings.HasPrefix(as, "pending ") {
			in[id] = as
		}
	}
	var all []any
	for _, id := range slices.Sorted(maps.Keys(in)) {
		if role == "" || role == "all" || role == in[id] {
			all = append(all, h.Show(id))
		}
	}
	return h.page(r, all)
}

// toTeam are the open invitations to a team. Each has an id of its own, and who was
// invited by an address has no login.
func (h *Hub) toTeam(r *http.Request, name string) Reply {
	t := h.Teams[name]
	if t == nil || h.Blind {
		return NotFound()
	}
	var all []any
	for _, id := range slices.Sorted(maps.Keys(t.Members)) {
		if strings.HasPrefix(t.Members[id], "pending ") {
			all = append(all, map[string]any{"id": 9000 + id, "login": h.Users[id].Login, "email": nil, "role": "direct_member", "inviter": h.Show(106)})
		}
	}
	for i, address := range t.Invited {
		all = append(all, map[string]any{"id": 9900 + i, "login": nil, "email": address, "role": "direct_member", "inviter": h.Show(106)})
	}
	return h.page(r, all)
}
