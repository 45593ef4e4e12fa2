package bot_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// run is a test in a world of its own, in simulated time.
func run(t *testing.T, prepare func(*world), test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		prepare(w)
		w.start()
		defer func() { w.kill() }()
		test(w)
	})
}

// file files and approves one more request, for a resource and a time.
func (w *world) file(n int, resource string, d time.Duration) access.Request {
	w.t.Helper()
	r := w.insist(fmt.Sprintf("form:f%d", n), alice, access.File{Resource: resource})
	return w.insist(fmt.Sprintf("click:f%d", n), bob, access.Approve{Request: r.ID, For: d})
}

// read is a request as the log has it.
func (w *world) read(id string) access.Request {
	w.t.Helper()
	l, err := ledger.Open(context.Background(), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	r, ok := l.Request(id)
	if !ok {
		w.t.Fatalf("the log does not hold request %s", id)
	}
	return r
}

// times are when calls of a method for a request returned without an error.
func orders(p *bottest.Provider, method, id string) int {
	n := 0
	for _, c := range p.Calls() {
		if c.Method == method && c.Request == id && c.Err == nil {
			n++
		}
	}
	return n
}

// TestObserving: where nobody can look, the answer to the first grant says what
// was there before, however often it is lost, and that is never taken away.
func TestObserving(t *testing.T) {
	for _, before := range []bool{false, true} {
		for _, early := range []bool{false, true} {
			for _, f := range []bottest.Fault{"", bottest.Fails, bottest.FailsAfter, bottest.Hangs, bottest.HangsAfter} {
				t.Run(fmt.Sprintf("before=%t,early=%t,%s", before, early, f), func(t *testing.T) {
					observer := bottest.NewObserver(t)
					run(t, func(w *world) {
						w.provider, w.broken = observer.Provider, observer
						if before {
							w.provider.Give(target, alice.Email)
						}
						w.provider.Inject("Grant", f)
					}, func(w *world) {
						r := w.ask()
						status := access.Expired
						if early {
							time.Sleep(time.Second)
							w.insist("click:9", carol, access.Revoke{Request: r.ID})
							status = access.Revoked
						}
						time.Sleep(2 * time.Hour)
						w.ends(r.ID, status, before, 10*time.Second)
						want, kept := access.Absent, ""
						if before {
							want, kept = access.Present, "had_before"
						}
						if got := w.read(r.ID); got.Grant.Before != want || got.End.Kept != kept {
							t.Errorf("observed %q, kept because of %q; want %q, %q", got.Grant.Before, got.End.Kept, want, kept)
						}
					})
				})
			}
		}
	}
}

// TestObservingNeverAnswered: an end does not wait for ever for an answer that
// does not come. The access is taken, for nobody knows better.
func TestObservingNeverAnswered(t *testing.T) {
	observer := bottest.NewObserver(t)
	run(t, func(w *world) {
		w.provider, w.broken = observer.Provider, observer
		w.provider.Inject("Grant", slices.Repeat([]bottest.Fault{bottest.FailsAfter}, 50)...)
	}, func(w *world) {
		r := w.ask()
		time.Sleep(time.Second)
		w.insist("click:9", carol, access.Revoke{Request: r.ID})
		time.Sleep(5 * time.Minute)
		w.ends(r.ID, access.Revoked, false, 0)
	})
}

// TestObservingOverlap: what the first of two grants learns counts for both,
// also where it is learned after the second took it over, and whichever of them
// ends first.
func TestObservingOverlap(t *testing.T) {
	lengths := []time.Duration{time.Hour, 2 * time.Hour}
	for _, first := range []int{0, 1} {
		for _, before := range []bool{false, true} {
			observer := bottest.NewObserver(t)
			run(t, func(w *world) {
				w.provider, w.broken = observer.Provider, observer
				if before {
					w.provider.Give(target, alice.Email)
				}
				w.provider.Inject("Grant", bottest.FailsAfter)
			}, func(w *world) {
				one := w.file(1, "admins", lengths[first])
				synctest.Wait() // it observed, in the second in which the other takes that over
				two := w.file(2, "admins", lengths[1-first])
				time.Sleep(90 * time.Minute)
				if got := w.provider.Holders(target); len(got) != 1 {
					t.Error("the longer grant ended with the shorter")
				}
				time.Sleep(time.Hour)
				if got := w.provider.Holders(target); (len(got) == 1) != before {
					t.Errorf("the first lasts %s, before=%t: after both the provider has %v", lengths[first], before, got)
				}
				for _, r := range []access.Request{one, two} {
					if got := w.read(r.ID).Status; got != access.Expired {
						t.Errorf("%s is %s", r.ID, got)
					}
				}
			})
		}
	}
}

// TestExtensionReachesTheProvider: an extended access is one grant, and its
// provider is told of the later end, for some end what they gave by themselves.
func TestExtensionReachesTheProvider(t *testing.T) {
	for _, f := range []bottest.Fault{"", bottest.Fails, bottest.FailsAfter, bottest.HangsAfter} {
		run(t, func(*world) {}, func(w *world) {
			r := w.ask()
			synctest.Wait()
			w.provider.Inject("Grant", f)
			w.insist("click:2", alice, access.Extend{Request: r.ID, By: time.Hour})
			w.insist("click:3", carol, access.ApproveExtension{Request: r.ID, Round: 1})
			if f == bottest.Fails {
				synctest.Wait()
				if got := w.read(r.ID); got.Status != access.Live || got.Shown() != access.Failed {
					t.Errorf("while the provider is not told it is %s, shown as %s", got.Status, got.Shown())
				}
			}
			time.Sleep(time.Minute)
			got := w.read(r.ID)
			if !got.Grant.Until.Equal(got.Expires()) || got.Failure != nil {
				t.Errorf("after %q the provider knows of %s, the end is %s", f, got.Grant.Until, got.Expires())
			}
			if n := orders(w.provider, "Grant", r.ID); n != 2 {
				t.Errorf("after %q the grant was ordered %d times with success, want 2", f, n)
			}
			time.Sleep(time.Hour)
			if got := w.provider.Holders(target); len(got) != 1 {
				t.Error("the access ended at its first end")
			}
			time.Sleep(time.Hour)
			if got := w.read(r.ID); got.Status != access.Expired || len(w.provider.Holders(target)) != 0 {
				t.Errorf("after its end it is %s", got.Status)
			}
		})
	}
}

// TestExtensionRacesRevoke: what is recorded first wins, and the other person is
// told.
func TestExtensionRacesRevoke(t *testing.T) {
	run(t, func(*world) {}, func(w *world) {
		r := w.ask()
		synctest.Wait()
		w.insist("click:2", alice, access.Extend{Request: r.ID, By: time.Hour})
		type answer struct {
			what string
			err  error
		}
		answers := make(chan answer)
		for what, c := range map[string]access.Command{
			"extend": {ID: "click:3", Actor: bob, Do: access.ApproveExtension{Request: r.ID, Round: 1}},
			"revoke": {ID: "click:4", Actor: carol, Do: access.Revoke{Request: r.ID}},
		} {
			go func() {
				_, err := w.bot.Handle(context.Background(), c)
				answers <- answer{what, err}
			}()
		}
		refused := map[string]access.Code{}
		for range 2 {
			a := <-answers
			if why, ok := access.AsRefusal(a.err); ok {
				refused[a.what] = why.Code
			} else if a.err != nil {
				t.Error(a.err)
			}
		}
		time.Sleep(time.Minute)
		got := w.read(r.ID)
		if got.Status != access.Revoked || len(w.provider.Holders(target)) != 0 {
			t.Errorf("it is %s", got.Status)
		}
		extended := len(got.Settled) == 1
		if extended == (refused["extend"] == access.StaleButton) || refused["revoke"] != "" {
			t.Errorf("extended %t, and refused: %v", extended, refused)
		}
	})
}

// TestEarlyRevokeOfAHangingGrant: an end waits a moment for the answer to a
// grant call that is under way, and not as long as that may take.
func TestEarlyRevokeOfAHangingGrant(t *testing.T) {
	for _, f := range []bottest.Fault{bottest.Hangs, bottest.HangsAfter} {
		run(t, func(w *world) { w.provider.Inject("Grant", f) }, func(w *world) {
			r := w.ask()
			time.Sleep(2 * time.Second)
			w.insist("click:9", carol, access.Revoke{Request: r.ID})
			time.Sleep(10 * time.Second)
			got := w.read(r.ID)
			if got.Status != access.Revoked || len(w.provider.Holders(target)) != 0 {
				t.Fatalf("ten seconds after it was revoked it is %s", got.Status)
			}
			if took := got.End.At.Sub(got.Ending.At); took < 4*time.Second || took > 6*time.Second {
				t.Errorf("the end took %s, want the 5s that a call is given", took)
			}
			if got.Failure != nil {
				t.Errorf("the end is shown as failing: %s", got.Failure.Error)
			}
		})
	}
}

// several are rules with a resource of each of some providers, and one more of
// the first.
func several(providers ...string) func([]byte, string) (*access.Rules, error) {
	return func(_ []byte, commit string) (*access.Rules, error) {
		r, err := rules(nil, commit)
		r.Resources = nil
		for _, p := range providers {
			for i := range 200 {
				r.Resources = append(r.Resources, access.Resource{
					ID: fmt.Sprintf("%s-%d", p, i), Target: access.Target{Provider: p, With: map[string]any{"n": i}},
				})
			}
		}
		return r, err
	}
}

// TestASlowProviderStaysAlone: with as many hanging calls as there can be at one
// provider, another's revocations are in time, and so are its own, since grants
// take no places of ends.
func TestASlowProviderStaysAlone(t *testing.T) {
	good := bottest.NewProvider(t)
	run(t, func(w *world) {
		w.parse = several("fake", "good")
		w.others = map[string]bot.Provider{"good": good}
	}, func(w *world) {
		due := w.file(0, "good-0", 10*time.Minute)
		own := w.file(1, "fake-0", 10*time.Minute)
		time.Sleep(5 * time.Minute)
		w.provider.Inject("Grant", slices.Repeat([]bottest.Fault{bottest.Hangs}, 10_000)...)
		for i := range 199 {
			w.file(2+i, fmt.Sprintf("fake-%d", i+1), time.Hour)
		}
		time.Sleep(5*time.Minute + 2*time.Second)
		for _, r := range []access.Request{due, own} {
			got := w.read(r.ID)
			if got.Status != access.Expired || got.End.At.After(got.Expires().Add(time.Second)) {
				t.Errorf("%s is %s, ended %v, due %s", got.Resource, got.Status, got.End, got.Expires())
			}
		}
	})
}

// TestPinnedTarget: what was given is taken away where it was given, whatever
// becomes of the resource, of the person, or of the provider's own world.
func TestPinnedTarget(t *testing.T) {
	elsewhere := access.Target{Provider: "fake", With: map[string]any{"key": "other"}}
	for name, change := range map[string]func(*access.Rules){
		"changed":      func(r *access.Rules) { r.Resources[0].Target = elsewhere },
		"moved":        func(r *access.Rules) { r.Resources[0].Target.Provider = "none" },
		"removed":      func(r *access.Rules) { r.Resources = nil },
		"no reviewers": func(r *access.Rules) { r.Reviewers = nil },
		"another account": func(r *access.Rules) {
			r.People = []access.Known{{Email: alice.Email, GitHub: "someone-else"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				w.parse = func(data []byte, commit string) (*access.Rules, error) {
					r, err := rules(data, commit)
					if commit != "c1" {
						change(r)
					}
					return r, err
				}
			}, func(w *world) {
				r := w.ask()
				synctest.Wait()
				w.provider.Give(elsewhere, alice.Email)
				w.source.push("c2", "")
				w.bot.PollRules(context.Background())
				time.Sleep(2 * time.Hour)
				w.ends(r.ID, access.Expired, false, 2*time.Second)
				if got := w.provider.Holders(elsewhere); len(got) != 1 {
					t.Errorf("at the other target the provider has %v", got)
				}
			})
		})
	}
}

// TestProviderNoLongerSetUp: an end is owed also where this bot has lost the
// provider, and paid when it is back.
func TestProviderNoLongerSetUp(t *testing.T) {
	second := bottest.NewProvider(t)
	run(t, func(w *world) {
		w.parse = several("second")
		w.others = map[string]bot.Provider{"second": second}
	}, func(w *world) {
		r := w.file(1, "second-0", time.Hour)
		synctest.Wait()
		w.kill()
		w.others = nil
		w.start()
		time.Sleep(2 * time.Hour)
		if got := w.read(r.ID); got.Shown() != access.Failed || got.Failure == nil || !got.Failure.Revoking {
			t.Fatalf("without its provider it is shown as %s", got.Shown())
		}
		w.kill()
		w.others = map[string]bot.Provider{"second": second}
		w.start()
		time.Sleep(time.Minute)
		if got := w.read(r.ID); got.Status != access.Expired || len(second.Holders(r.Target)) != 0 {
			t.Errorf("with its provider back it is %s", got.Status)
		}
	})
}

// TestWorkOff: what is overdue at the start is gone before anybody is heard, but
// for what hangs.
func TestWorkOff(t *testing.T) {
	for _, f := range []bottest.Fault{"", bottest.Hangs} {
		run(t, func(*world) {}, func(w *world) {
			r := w.ask()
			synctest.Wait()
			w.kill()
			time.Sleep(24 * time.Hour)
			w.provider.Inject("Revoke", f)
			w.idle = true
			w.start()
			began := time.Now()
			ctx, cancel := context.WithCancel(context.Background())
			w.bot.WorkOff(ctx)
			if took := time.Since(began); (f == "" && took > 0) || took > 30*time.Second {
				t.Errorf("the start took %s", took)
			}
			if got := w.read(r.ID); got.Status.Ended() != (f == "") {
				t.Errorf("with %q it is %s", f, got.Status)
			}
			cancel()
			synctest.Wait()
		})
	}
}

// TestOneAccessTwoWays: an access that is given in another way since then is still
// one access, and ends with the last of its grants.
func TestOneAccessTwoWays(t *testing.T) {
	run(t, func(w *world) {
		parse := w.parse
		w.parse = func(data []byte, commit string) (*access.Rules, error) {
			r, err := parse(data, commit)
			if err == nil {
				other := access.Target{Provider: target.Provider, With: maps.Clone(target.With)}
				other.With["via"] = "pull_request"
				r.Resources = append(r.Resources, access.Resource{ID: "proposed", Target: other})
			}
			return r, err
		}
	}, func(w *world) {
		w.file(1, "admins", time.Hour)
		synctest.Wait()
		w.file(2, "proposed", 2*time.Hour)
		time.Sleep(90 * time.Minute)
		if got := w.provider.Holders(target); len(got) != 1 {
			t.Error("the longer grant ended with the shorter")
		}
		time.Sleep(time.Hour)
		if got := w.provider.Holders(target); len(got) != 0 {
			t.Errorf("after both the provider has %v", got)
		}
	})
}
