package main

import (
	"testing"

	"wick/kernel/driver/e1000"
	"wick/kernel/driver/e1000/e1000test"
)

// TestRxDescriptors: the ring has a size that the card takes, and grows with the memory.
func TestRxDescriptors(t *testing.T) {
	for memory, want := range map[uint64]int{0: 128, 4 << 20: 128, 37<<20 + 12345: 1184, 1 << 40: e1000.MaxDescriptors} {
		n := rxDescriptors(memory)
		if n != want {
			t.Errorf("%d descriptors with %d bytes, want %d", n, memory, want)
		}
		m := e1000test.New([6]byte{2})
		if _, err := e1000.New(e1000.Config{Registers: m, Memory: m, Interrupt: m, RxDescriptors: n}); err != nil {
			t.Errorf("%d descriptors: %v", n, err)
		}
	}
}
