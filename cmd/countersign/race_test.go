//go:build race

package main

func init() { atOnce = 6 } // the race detector makes each of them work much more
