package report

import (
	"bufio"
	"cmp"
	"io"
	"slices"
	"strings"

	"countersign/bot/access"
)

// HeldColumns are those of the table of who has what, in order.
var HeldColumns = strings.Fields(`principal resource provider subject since until id approval_source approved_by config_commit`)

// Held writes who has what: a row for each request whose access is live, sorted
// by person, resource and id, in the form of [TSV]. What else is among the
// requests is left out.
func Held(w io.Writer, requests []access.Request) error {
	live := slices.DeleteFunc(slices.Clone(requests), func(r access.Request) bool { return r.Status != access.Live })
	slices.SortFunc(live, func(a, b access.Request) int {
		return cmp.Or(strings.Compare(a.Principal.Email, b.Principal.Email), strings.Compare(a.Resource, b.Resource), strings.Compare(a.ID, b.ID))
	})
	out := bufio.NewWriter(w)
	line(out, HeldColumns)
	for _, r := range live {
		line(out, []string{
			r.Principal.Email, r.Resource, r.Target.Provider, r.Grant.Subject, stamp(r.Grant.GrantedAt), stamp(r.Expires()),
			r.ID, string(r.Decision.Source), emails(r.Decision.Approvers), r.Decision.Config,
		})
	}
	return out.Flush()
}
