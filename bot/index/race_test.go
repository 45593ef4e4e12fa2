//go:build race

package index_test

// slower is how much less is tried with the race detector: SQLite, which is
// compiled to Go, is slow under it, and what runs alone cannot race.
const slower = 10
