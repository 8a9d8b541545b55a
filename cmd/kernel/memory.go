package main

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
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

// bufferMemoryShare is what part of the kernel's memory the buffers of TCP connections may have for each direction while memory is tight. What
// they hold takes up to twice that.
const bufferMemoryShare = 16

func bufferMemory() int {
	_, limit := ground.KernelMemory()
	return int(limit / bufferMemoryShare)
}

// tight tells whether less than half of its memory is left to the kernel: connections that are promised more until then
// take it up. Part of what is used may be garbage. It is cheap.
func tight() bool {
	used, limit := ground.KernelMemory()
	return used > limit/2
}

// tellMemory logs, for wick run -v, where the memory has gone at some point of the run.
func (k *kernel) tellMemory(when string) {
	u := ground.Use()
	k.detail("kernel: memory %s, in KiB: image %d, initial RAM disk %d, kernel %d, devices %d, program %d, free %d", when,
		u.Image>>10, u.Initrd>>10, u.Kernel>>10, u.Devices>>10, u.Program>>10, u.Free>>10)
}

// vsockShare is what part of the kernel's memory AF_VSOCK connections may have for each direction.
const vsockShare = 6

func vsockMemory() int {
	_, limit := ground.KernelMemory()
	return int(limit / vsockShare)
}

// collectEvery is how often memory that is short is searched for garbage.
const collectEvery = 50 * time.Millisecond

// shortage tells when the kernel's own memory is short. Running out of it would be the end, so whoever keeps
// data for programs, or for the network, asks first.
type shortage struct {
	mu          sync.Mutex
	collections int       // guarded by mu
	collected   time.Time // guarded by mu: when the last one ended
	useless     bool      // guarded by mu: memory was low after the last one
	passed      int       // guarded by mu: who has found it so since
}

// short tells whether nothing more may be kept. It costs nothing while there is enough.
func (s *shortage) short() bool { return s.shortOf(0) }

// Memory that connections take, in bytes: about that of one until it is open, and what those that are being opened may take yet.
const (
	connection = 8 << 10
	opening    = 512 << 10
)

// crowded tells whether there is too little for n connections that others open.
func (s *shortage) crowded(n int) bool { return s.shortOf(opening + uint64(n)*connection) }

// shortOf tells whether there are less than room bytes that may be kept.
func (s *shortage) shortOf(room uint64) bool {
	if enough(room) {
		return false
	}
	// Part of it may be garbage. Others who ask wait for the answer.
	s.mu.Lock()
	defer s.mu.Unlock()
	low := ground.LookForMemory()
	if s.due() || low && !s.useless {
		s.collectLocked()
	}
	return !enough(room)
}

// enough tells whether the kernel can have room bytes more until it has what it should take at most, and there is some for the rest.
func enough(room uint64) bool {
	used, limit := ground.KernelMemory()
	return used+room < limit && atomic.LoadUint32(ground.MemoryLow()) == 0
}

// low tells whether memory is low although garbage has been collected, so that not even what makes garbage should be done.
// It costs nothing while there is enough.
func (s *shortage) low() bool {
	if atomic.LoadUint32(ground.MemoryLow()) == 0 {
		return false
	}
	s.relieve()
	return atomic.LoadUint32(ground.MemoryLow()) != 0
}

// due tells whether the last collection was so long ago that another may find something. The caller holds mu.
func (s *shortage) due() bool { return time.Since(s.collected) >= collectEvery }

func (s *shortage) collectLocked() {
	debug.FreeOSMemory()
	s.collections++
	s.collected = time.Now()
	s.useless = ground.LookForMemory()
	s.passed = 0
}

// insideTight is how many threads are in the kernel at a time while memory is tight, or, if there are more CPUs, one for each.
const insideTight = 4

// mostPassed is how many may have the kernel do something between two collections while memory is low: that makes stacks grow, which
// collections let shrink.
const mostPassed = 8

// relieve collects garbage if memory is low. Programs wait for it before they have the kernel do more: they can make garbage faster
// than the runtime, left alone, searches for it. It returns false if hardly any memory is left.
func (s *shortage) relieve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ground.LookForMemory() {
		return true
	}
	if s.due() || !s.useless || s.passed >= mostPassed {
		s.collectLocked()
	}
	s.passed++
	return !ground.MemoryOut()
}

// lasting is short for those who can wait a moment: whatever has been given up before they ask doesn't count any more. So a
// program that has closed something can have as much again at once. It takes two collections, since the first leaves what is
// in a sync.Pool to the second.
func (s *shortage) lasting() bool {
	if enough(0) {
		return false
	}
	for first, _ := s.last(); ; {
		n, at := s.last()
		if n >= first+2 {
			return s.short()
		}
		time.Sleep(collectEvery - time.Since(at))
		if !s.short() {
			return false
		}
	}
}

// last returns the number of collections so far, and when the last one ended.
func (s *shortage) last() (n int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.collections, s.collected
}
