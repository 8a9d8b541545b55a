//go:build !faults

package main

// provoke does nothing in a kernel that isn't built for tests of its own failures.
func (k *kernel) provoke() {}
