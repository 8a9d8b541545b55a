package net

import (
	"maps"
	"runtime"
	"strings"
	"testing"
)

// Segments of one listening socket on several goroutines make those wait for each other in a busy loop.
func TestOneGoroutineProcessesTCP(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	before := processors() // some of them may be about to end
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	after := processors()
	maps.DeleteFunc(after, func(id string, _ bool) bool { return before[id] })
	if len(after) != 1 {
		t.Errorf("%d goroutines process TCP segments", len(after))
	}
	if got := runtime.GOMAXPROCS(0); got != 4 {
		t.Errorf("GOMAXPROCS is %d afterwards", got)
	}
}

// processors returns the goroutines that process TCP segments, by the names that they have in a dump.
func processors() map[string]bool {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	found := make(map[string]bool)
	for one := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(one, "created by gvisor.dev/gvisor/pkg/tcpip/transport/tcp.(*dispatcher).startLocked") {
			id, _, _ := strings.Cut(one, " [")
			found[id] = true
		}
	}
	return found
}
