package access

import (
	"slices"
	"strings"
	"time"
)

// A Discovery makes a resource of each team of an organization at GitHub. Which
// id means which team follows from the configuration alone: the id is that of the
// discovery, a slash and the team's slug. So a decision can be judged years later,
// offline, and GitHub only says which ids to offer.
//
// A team that has a resource of its own has no other by discovery: nobody goes
// around what was written for that team.
type Discovery struct {
	ID          string // what the ids begin with
	Org, Role   string
	Title       string // of all of them; may be empty
	Owner       string
	Tags        map[string]string
	MaxDuration time.Duration
}

// maxResourceID is how long the id of a resource may be.
const maxResourceID = 100

// resource is the one of a team.
func (d Discovery) resource(slug string) Resource {
	title := slug
	if d.Title != "" {
		title = d.Title + ": " + slug
	}
	return Resource{
		ID: d.ID + "/" + slug, Title: title, Owner: d.Owner, Tags: d.Tags, MaxDuration: d.MaxDuration,
		Target: Target{Provider: "github", With: map[string]any{"org": d.Org, "team": slug, "role": d.Role}},
	}
}

// discovered finds the resource that a discovery makes of an id.
func (r *Rules) discovered(id string) (Resource, bool) {
	i := strings.LastIndexByte(id, '/')
	if i < 0 || len(id) > maxResourceID || !isSlug(id[i+1:]) {
		return Resource{}, false
	}
	n := slices.IndexFunc(r.Discoveries, func(d Discovery) bool { return d.ID == id[:i] })
	if n < 0 {
		return Resource{}, false
	}
	res := r.Discoveries[n].resource(id[i+1:])
	if slices.ContainsFunc(r.Resources, func(own Resource) bool { return teamOf(own) == teamOf(res) }) {
		return Resource{}, false
	}
	return res, true
}

// Discovered are the resources of the teams that there are, as slugs by
// organization. Those that no id could name are left out.
func (r *Rules) Discovered(teams func(org string) []string) []Resource {
	if len(r.Discoveries) == 0 {
		return nil
	}
	own := map[string]bool{}
	for _, res := range r.Resources {
		own[res.ID], own[teamOf(res)] = true, true
	}
	var out []Resource
	for _, d := range r.Discoveries {
		for _, slug := range teams(d.Org) {
			res := d.resource(slug)
			if isSlug(slug) && len(res.ID) <= maxResourceID && !own[res.ID] && !own[teamOf(res)] {
				out = append(out, res)
			}
		}
	}
	return out
}

// teamOf names the team that a resource gives; a resource's id, which no team's
// name looks like, for all others.
func teamOf(r Resource) string {
	org, _ := r.Target.With["org"].(string)
	team, _ := r.Target.With["team"].(string)
	if r.Target.Provider != "github" || team == "" {
		return r.ID
	}
	return "team " + strings.ToLower(org) + "/" + strings.ToLower(team)
}

// isSlug reports whether a team of that name can have an id.
func isSlug(s string) bool {
	odd := func(c rune) bool {
		return c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	}
	return s != "" && strings.Trim(s, ".") != "" && !strings.ContainsFunc(s, odd)
}
