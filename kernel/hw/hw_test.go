package hw

import (
	"os"
	"sync/atomic"
	"testing"
)

func TestMMIO(t *testing.T) {
	memory := make([]uint32, 4)
	var r Registers = MMIO(memory)
	r.Store32(8, 0x12345678)
	if memory[2] != 0x12345678 || r.Load32(8) != 0x12345678 {
		t.Errorf("got %x, %x", memory, r.Load32(8))
	}
	var w Window = MMIO(memory)
	w.Store8(5, 0xAB)
	w.Store16(6, 0xCDEF)
	if memory[1] != 0xCDEFAB00 || w.Load8(5) != 0xAB || w.Load16(6) != 0xCDEF || w.Load16(4) != 0xAB00 {
		t.Errorf("got %x, %x, %x", memory, w.Load8(5), w.Load16(6))
	}
	for name, access := range map[string]func(){
		"behind the window": func() { r.Store32(16, 1) },
		"8 bits behind it":  func() { w.Load8(16) },
		"not aligned":       func() { w.Store16(3, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("an access didn't panic: %s", name)
				}
			}()
			access()
		}()
	}
}

func TestInterruptFile(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// One pipe end can't be read and written, so the two directions are tested one by one.
	fired := NewInterruptFile(r, false)
	if _, err := w.Write(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if err := fired.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
	// An edge that is unmasked writes nothing, a level does.
	for _, level := range []bool{false, true} {
		if err := NewInterruptFile(w, level).Unmask(); err != nil {
			t.Errorf("Unmask: %v", err)
		}
	}
	var unmasked [8]byte
	if n, err := r.Read(unmasked[:]); n != 4 || err != nil {
		t.Errorf("Unmask wrote %d bytes, %v", n, err)
	}
	waited := make(chan error)
	go func() { waited <- fired.Wait() }()
	if err := fired.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err == nil {
		t.Error("Wait on a closed file succeeded")
	}
	if _, err := OpenInterrupt(3, Edge); err == nil {
		t.Error("this machine has /dev/irq/edge/3?")
	}
}

func TestView(t *testing.T) {
	type pair struct {
		A, B atomic.Uint32
	}
	memory := make([]byte, 64)
	pairs := View[pair](memory[:32])
	if len(pairs) != 4 {
		t.Fatalf("got %d pairs in 32 bytes", len(pairs))
	}
	pairs[1].B.Store(0x01020304)
	if memory[12] != 4 || memory[15] != 1 {
		t.Errorf("got % x", memory[8:16])
	}
	if View[pair](nil) != nil {
		t.Error("a view of nothing isn't nil")
	}
	for _, wrong := range [][]byte{memory[1:17], memory[:12]} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes were taken", len(wrong))
				}
			}()
			View[pair](wrong)
		}()
	}
}
