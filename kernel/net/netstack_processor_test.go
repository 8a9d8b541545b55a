package net

import (
	"runtime"
	"strings"
	"testing"
)

// Segments of one listening socket on several goroutines make those wait for each other in a busy loop.
func TestOneGoroutineProcessesTCP(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	before := processors()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := processors() - before; got != 1 {
		t.Errorf("%d goroutines process TCP segments", got)
	}
	if got := runtime.GOMAXPROCS(0); got != 4 {
		t.Errorf("GOMAXPROCS is %d afterwards", got)
	}
}

// processors counts the goroutines that process TCP segments.
func processors() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "created by gvisor.dev/gvisor/pkg/tcpip/transport/tcp.(*dispatcher).startLocked")
}
