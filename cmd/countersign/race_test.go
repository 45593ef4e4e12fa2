//go:build race

package main

func init() { storiesAtOnce = 6 } // the race detector makes each of them work much more
