package main

import (
	"runtime/debug"
	"sync"
	"time"

	"wick/kernel/ground"
)

// Bounds of a TCP connection's buffers, in bytes for each direction.
const (
	minBuffer   = 128 << 10
	maxBuffer   = 4 << 20
	bufferShare = 32 // of the kernel's memory
)

// buffer is how far the buffers of a TCP connection may grow on this machine.
func buffer() int {
	_, limit := ground.KernelMemory()
	return int(min(max(limit/bufferShare, minBuffer), maxBuffer))
}

// collectEvery is how often memory that is short is searched for garbage.
const collectEvery = 50 * time.Millisecond

// shortage tells when the kernel's own memory is short. Running out of it would be the end, so whoever keeps
// data for programs, or for the network, asks first.
type shortage struct {
	mu        sync.Mutex
	collected time.Time // guarded by mu
}

// short tells whether nothing more may be kept. It costs nothing while there is enough.
func (s *shortage) short() bool {
	if used, limit := ground.KernelMemory(); used < limit {
		return false
	}
	// Part of it may be garbage. Others who ask wait for the answer.
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.collected) >= collectEvery {
		debug.FreeOSMemory()
		s.collected = time.Now()
	}
	used, limit := ground.KernelMemory()
	return used >= limit
}
