//go:build !linux

package exec

// ended cannot be told here without waiting for the child. What a program leaves
// behind lives on, and the output that it holds is waited for three seconds.
func ended(int) bool { return false }
