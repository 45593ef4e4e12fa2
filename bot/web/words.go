package web

import (
	"strings"

	"countersign/bot/access"
)

// statuses are all, in the order in which a filter offers them.
var statuses = [...]access.Status{
	access.Pending, access.Approved, access.Live, access.Failed, access.Expired, access.Revoked,
	access.GivenBack, access.Denied, access.Cancelled, access.TimedOut,
}

// sources are all, in the order in which a filter offers them.
var sources = [...]access.Source{
	access.ByReviewer, access.ByGroup, access.ByManager, access.ByEscalation, access.ByOnCall,
	access.ByAllowance, access.ByBreakGlass, access.ByPersistent, access.BySelf,
}

// spell writes a status or source as words.
func spell[T ~string](s T) string { return strings.ReplaceAll(string(s), "_", " ") }

// grounds says on what an approval rests.
func grounds(s access.Source) string {
	switch s {
	case access.ByReviewer:
		return "a reviewer"
	case access.BySelf:
		return "the requestor, who is a reviewer"
	case access.ByGroup:
		return "members of a group"
	case access.ByManager:
		return "the manager"
	case access.ByEscalation:
		return "somebody who was paged"
	case access.ByOnCall:
		return "being on call"
	case access.ByBreakGlass:
		return "breaking glass"
	case access.ByAllowance:
		return "a pre-approval"
	case access.ByPersistent:
		return "a policy that always gives it"
	}
	return spell(s)
}

// alone says who decided where no person did.
func alone(s access.Source) string {
	switch s {
	case access.ByOnCall:
		return "on call"
	case access.ByBreakGlass:
		return "break-glass"
	case access.ByPersistent:
		return "always given"
	}
	return ""
}
