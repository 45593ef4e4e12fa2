package bot_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
)

// TestReviewerRemovedWhileDeciding: the rules in force when the decision is
// written decide, not those of when it was begun.
func TestReviewerRemovedWhileDeciding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.parse = parseReviewers
		w.source = new(branch).push("c1", "bob@example.com carol@example.com")
		w.start()
		defer w.kill()
		r := w.insist("form:1", alice, access.File{Resource: "admins"})
		// The first try of the approval meets somebody else's write. Meanwhile a
		// commit removes Bob.
		conflicts := 0
		w.store.Interrupt(func(string, []ledger.File) (bool, error) {
			if conflicts++; conflicts > 1 {
				return false, nil
			}
			w.source.push("c2", "carol@example.com")
			w.bot.PollRules(context.Background())
			return false, ledger.ErrConflict
		})
		_, err := w.bot.Handle(context.Background(), access.Command{ID: "click:1", Actor: bob, Do: access.Approve{Request: r.ID, For: time.Hour}})
		if refusal, ok := access.AsRefusal(err); !ok || refusal.Code != access.NoLongerReviewer {
			t.Fatalf("got %v, want that he is no longer a reviewer", err)
		}
		if got := w.judge(r.ID); got.Status != access.Pending {
			t.Errorf("it is %s", got.Status)
		}
	})
}

// parseReviewers are the usual rules with the reviewers of the file.
func parseReviewers(data []byte, commit string) (*access.Rules, error) {
	r, err := rules(nil, commit)
	if err != nil {
		return nil, err
	}
	named, err := parse(data, commit)
	r.Reviewers = named.Reviewers
	return r, err
}
