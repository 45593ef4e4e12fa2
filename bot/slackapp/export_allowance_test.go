package slackapp

// AllowanceEnding is rendered for golden files.
var AllowanceEnding = allowanceEnding

// Settled reports whether nothing is being sent, and nothing waits.
func (a *App) Settled() bool { return a.out.waiting() == 0 && !a.out.busy() }
