package signin

import "time"

// Local and Address are what the fuzz tests try.
var (
	Local   = local
	Address = address
)

// NewOnce is a memory of used sign-ins, and how many it holds.
func NewOnce(now func() time.Time) (use func(string) bool, held func() int) {
	o := newOnce(now)
	return o.use, func() int { return len(o.seen) + len(o.before) }
}
