package vhosttest

import "sync/atomic"

// fence orders what is before it and what is behind it, as the other side sees it.
func fence() {
	var w atomic.Uint32
	w.Swap(1)
}
