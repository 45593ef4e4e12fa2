//go:build !race

package index_test

const slower = 1
