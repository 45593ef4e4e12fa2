package bottest

import (
	"strconv"
	"strings"
)

// fill puts values into the places of a text.
func (t *tale) fill(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return strings.NewReplacer(
		"{service}", pick(t.rng, services), "{customer}", pick(t.rng, customers), "{colleague}", pick(t.rng, firstNames),
		"{region}", pick(t.rng, []string{"eu-central", "us-east", "ap-south"}),
		"{version}", "v"+strconv.Itoa(1+t.rng.IntN(9))+"."+strconv.Itoa(t.rng.IntN(40))+"."+strconv.Itoa(t.rng.IntN(12)),
		"{number}", strconv.Itoa(1000+t.rng.IntN(90000)),
	).Replace(text)
}

// What people of the made-up company write.
var (
	tickets   = []string{"OPS", "OPS", "INC", "PAY", "DATA", "SEC"}
	customers = []string{"Globex", "Initech", "Umbrella", "Hooli", "Vandelay", "Stark", "Wayne", "Soylent", "Müller & Söhne", "Crème Royale", "東京物産", "Ørsted Bryg"}

	reasons = []string{
		"Rotate the certificate of {service}, it ends on Friday",
		"Roll out {service} {version}",
		"Roll back {service} to {version}: error rate went up after the release",
		"{service} answers 502 in {region} since the deploy, need to look at the logs",
		"Investigate the slow query that {customer} reported",
		"{customer} was charged twice, correct order {number} by hand",
		"Check why the nightly export for {customer} stopped at row {number}",
		"Reindex after the migration of {service}",
		"Add a missing index before the sale starts",
		"Restart the stuck worker, queue is {number} deep",
		"Debug memory growth of {service}, heap dump needed",
		"Upgrade {service} to {version}, change was reviewed by {colleague}",
		"Quarterly audit: list who owns what in {service}",
		"On-boarding: pair with {colleague} on {service}",
		"Merge the release branch while {colleague} is on holiday",
		"Turn off the recommendation banner for {customer}",
		"Failover test of {service} in {region}",
		"Data subject request {number}: export and delete",
		"Zertifikat von {service} läuft ab, bitte kurz freigeben",
		"Corriger les factures de {customer} après l'incident",
		"Kunde {customer} sieht falsche Preise, Preisliste {number} prüfen",
		"Restore a backup of {service} to compare with production.\nPlan:\n1. stop the writer\n2. restore\n3. compare {number} rows",
		"Follow-up of the incident review: reproduce the deadlock between {service} and {service}",
		"Tune autovacuum, bloat is at 40%",
		"Bump the rate limit for {customer} during their import",
	}
	remarks = []string{
		"Looking.", "Which environment is this for?", "Only production, staging is fine.",
		"Is there a runbook for that?", "Yes: https://wiki.acme.example/runbooks/{service}",
		"Please keep it short, we freeze at six.", "👍", "Can this wait until tomorrow?",
		"Not really, {customer} is blocked.", "I paired with {colleague} on it, looks right to me.",
		"Would read access do?", "No, I have to update {number} rows.",
		"Please add the ticket next time.", "Sorry, forgot. It is OPS-{number}.",
		"Danke!", "Done, I give it back.", "We saw the same in {region} last week, see INC-{number}.",
		"Remember to pause the cron job first.", "Paused.", "The dashboard shows p99 at {number} ms again.",
		"Approved under the condition that {colleague} watches the deploy.",
		"Ist das mit dem Team abgesprochen?", "Ja, mit {colleague}.",
	}
	denials = []string{
		"Read access is enough for this.", "Please use the runbook instead.", "We are in a freeze until Monday.",
		"No ticket.", "{colleague} does this already.", "Not from a personal account, use the pipeline.",
		"Please talk to the owners of {service} first.", "",
	}
	revocations = []string{
		"Incident is over.", "Wrong resource.", "{colleague} takes over.", "Left the project.", "Unusual queries, stopping until we have talked.",
	}
	extensions = []string{
		"Migration is at 80%", "Still waiting for {customer} to confirm", "Needs one more run", "Second region is still to be done", "",
	}
	reviews = []string{
		"Looked at the session log: only what was needed for the incident.", "Fine. A pre-approval would have done, too.",
		"Queries match the ticket. Told {colleague} to file a follow-up.", "OK, restart of {service} only.",
	}
	faults = []string{
		"github: 502 Bad Gateway", "postgres: connection refused", "push rejected: the remote has moved on",
		"webhook: timeout after 10s", "exec: exit status 1: host unreachable", "github: secondary rate limit, retry later",
	}
)
