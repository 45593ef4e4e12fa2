// Package webhook gives access by a signed HTTP call to a receiver that the
// operator runs, for everything that has no provider of its own.
//
// A target's `with` has url (https), secret_env (the name of the secret) and
// allow_private (false unless set).
//
// # The call
//
// Grant and revoke are POST requests, signed as Standard Webhooks describes
// (https://www.standardwebhooks.com), so that its libraries verify them:
//
//	POST <url>
//	content-type: application/json
//	webhook-id: grant_6f0c1d2e3a4b5c6d7e8f901234567890
//	webhook-timestamp: 1893553445
//	webhook-signature: v1,<base64 of HMAC-SHA256 of "<id>.<timestamp>.<body>">
//
//	{"action":"grant","request":"01J…","principal":"alice@example.com",
//	 "resource":"crm/support","expires_at":"2030-01-02T03:04:05Z"}
//
// The key is the secret: the decoded rest of one that begins with whsec_, the
// bytes of any other, and at least 16 of them. The principal is the address of
// the person as it was recorded with the grant.
//
// # What a receiver must do
//
//   - Verify the signature over the bytes as they came, and refuse a timestamp
//     more than five minutes away from its own clock.
//   - See to it that the access is there (grant) or is gone (revoke), each time
//     that it is asked. A grant with a later expires_at extends the access.
//   - Answer 200 {"changed":…,"present_before":…}: whether this changed
//     anything, and whether the access was there before.
//   - Answer a repeated webhook-id what it answered at first. A call whose answer
//     was lost is made again with the same id, and must not take the first call's
//     work for something that was there before. So it notes what it found before
//     it acts.
//   - Refuse a grant whose expires_at has passed: it was held up on its way.
//
// The id stands for the order. It derives from the address, the action, the
// request, the principal, the resource and, of a grant, the expiry, so that only
// an extension has a new one.
//
// # What counts as done
//
// Only a status of 200 to 299 with that answer, of 64 KiB at most. A page of some
// proxy is no answer. {"changed":false,"present_before":true} to a revoke is no
// success, for it says that the access is still there; nor is false and false to
// a grant. Everything else is an error, its effect is unknown, and the bot asks
// again.
//
// Access that is gone already, and a person who no longer exists, are revoked:
// the receiver says so by {"changed":false,"present_before":false}. 410 Gone and
// 404 do not say it: so answers an endpoint that was taken away, and behind it
// the access may well live on.
//
// The bot never asks who has an access, so that [Provider.Has] answers unknown.
// Whether it was there before is known from the answer to the first grant, which
// [Provider.GrantObserving] returns.
//
// # Where it may call
//
// The address comes from the configuration, and whoever may propose a change to
// that must not reach the bot's own network. So each address is checked when it
// is dialled, after the name was resolved: only public ones are called. Redirects
// are not followed and proxies of the environment are not used.
//
// allow_private permits private, loopback and shared (100.64.0.0/10) addresses
// too, and NAT64 of what is permitted, and http, but that to loopback only.
// Link-local addresses and those where clouds keep their credentials are refused
// all the same.
//
// An example of a receiver is in testdata/receiver.
package webhook
