//go:build !faults && !soak

package main

// underTest does nothing in a kernel that isn't built for a test of the kernel itself.
func (k *kernel) underTest() {}
