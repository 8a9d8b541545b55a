package net

import (
	"time"
	"unsafe"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// monotonic is the time d after the zero of the engine's monotonic clock, whose type gives no other way to it than arithmetic with
// dates.
func monotonic(d time.Duration) tcpip.MonotonicTime {
	// SAFETY: MonotonicTime is a struct of one int64, of nanoseconds; a test compares with what its methods say.
	return *(*tcpip.MonotonicTime)(unsafe.Pointer(&d))
}
