// Package bot is the application: it decides what people ask for and pays what
// the log owes.
//
// # The tour of the house
//
// A request begins in Slack. [countersign/bot/slackapp] decodes what Slack
// delivers into an [access.Command] and hands it to [Bot.Handle]. That gathers
// the facts (who acts, the rules now and at the filing, the time) and lets
// [countersign/bot/access], which is pure, decide. What it decides are events.
//
// [countersign/bot/ledger] makes each event a YAML file and folds the files
// into requests; [countersign/gitstore] makes each file a signed commit. Only
// then is something decided: the commit is the decision.
//
// In memory is what is open. [countersign/bot/index], a SQLite file that can be
// thrown away, remembers where in the log all else stands, so that a start need
// not read the whole log; it is also what the dashboard, [countersign/bot/web],
// and lists in Slack are answered from. Nothing is decided on what it says.
//
// Nothing else happens in Handle. The world is changed by [Bot.Run], which asks
// [access.Due] for every open request what the log owes, and pays it through a
// [Provider]: intent, act, outcome. People are told through a [Notifier], whose
// messages are a function of the state. So a crash at any point loses nothing:
// what was recorded is still owed, what was not recorded was never promised.
//
// The rules come from a [Rulebook], which follows the config branch: the last
// known good configuration is in force, and it never goes back.
//
// This package knows access and the interfaces that it needs, and no edge.
package bot
