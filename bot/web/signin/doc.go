// Package signin finds out who is at the browser before the dashboard answers.
//
// A [Gate] stands in front of a handler. It knows two ways in, one at a time:
//
//   - [OIDC]: the person signs in with an OpenID Connect issuer, such as Slack.
//     The gate then keeps a session in a sealed cookie; nothing is stored.
//   - [Proxy]: a reverse proxy has signed the person in and names them in a
//     header, which is believed from the configured addresses only.
//
// What a person may see is not decided here: the handler asks [Who] and maps
// the answer to the rules. In particular a session says who signed in, up to
// [SessionLife] ago, and not what they may do now.
//
// # What the sign-in rests on
//
// State, nonce and PKCE (S256) are new for each sign-in and stand in a sealed
// cookie of the browser that began it, for [FlowLife]. The answer of the issuer
// is believed only with that cookie, once. A restart forgets which sign-ins were
// used; the issuer's code still works once only.
//
// The issuer is asked when somebody signs in, not before: the program starts
// while the issuer is down, a page says so, and nobody gets in by it. Sessions
// that exist go on.
//
// Every cookie has the prefix __Host-, which only this very host can set, and is
// sealed with AES-256-GCM under a key of its purpose, bound to the settings
// under which it was made. A change of issuer, team or domain, or of every key,
// makes everybody sign in again. Signing out removes the cookie from the
// browser; a copy that somebody took of it stays good until it expires, or the
// keys are replaced.
//
// # Addresses
//
// The gate answers /signin and everything below, and /signout; the handler never
// sees these. A dashboard links to [SignOutPath], or posts there.
package signin
