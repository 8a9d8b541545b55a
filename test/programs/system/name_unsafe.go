package main

import "unsafe"

// threadName is longer than the 15 characters that a thread's name may have [prctl(2)].
var threadName = []byte("a-name-of-15-characters-and-more\x00")

// nameForPrctl is the address of a name for PR_SET_NAME.
func nameForPrctl() uintptr {
	// SAFETY: prctl(2) reads up to the null byte; a global doesn't move.
	return uintptr(unsafe.Pointer(&threadName[0]))
}
