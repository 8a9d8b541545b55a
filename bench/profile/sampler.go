// Package profile finds out where a guest's time goes, by looking through QEMU's monitor at what its CPU does, and writes
// that in pprof's format, for people and for Go's compiler.
package profile

import (
	"fmt"
	"os"
	"regexp"
	"strconv"

	"wick/vmm"
)

// Where is what a CPU does.
type Where int

// What a CPU does.
const (
	Idle   Where = iota // it waits for an interrupt
	User                // it is in ring 3
	Kernel              // it is in ring 0
)

// Sample is what a CPU did when it was looked at.
type Sample struct {
	Where Where
	Stack []uint64 // addresses in the kernel, the innermost first; of ring 0 only
}

// Sampler looks at a machine with one CPU.
type Sampler struct {
	Monitor *vmm.Monitor
	Symbols *Symbols
	Scratch string // a file for the memory of stacks; it is overwritten
}

// Look stops the machine for a moment.
func (s *Sampler) Look() (sample Sample, err error) {
	if _, err := s.Monitor.Execute("stop", nil); err != nil {
		return sample, err
	}
	defer func() {
		if _, errCont := s.Monitor.Execute("cont", nil); err == nil {
			err = errCont
		}
	}()
	text, err := s.Monitor.Human("info registers")
	if err != nil {
		return sample, err
	}
	var r registers
	if sample.Where, r, err = parseRegisters(text); err != nil || sample.Where != Kernel {
		return sample, err
	}
	memory, err := s.memory(r.sp)
	code, offset := s.Symbols.Code(r.ip)
	sample.Stack = unwind(r, code, offset, memory)
	return sample, err
}

// memory reads from the stack pointer up. What lies above a stack may be mapped or not; the smallest are 2 KiB [Go, stack.go].
func (s *Sampler) memory(sp uint64) ([]byte, error) {
	for size := 8 << 10; size >= 64; size /= 2 {
		complaint, err := s.Monitor.Human(fmt.Sprintf("memsave 0x%x %d %q", sp, size, s.Scratch))
		if err != nil {
			return nil, err
		}
		if complaint == "" {
			return os.ReadFile(s.Scratch)
		}
	}
	return nil, nil
}

// inRegisters finds registers in QEMU's "info registers":
//
//	RSI=ffffc0004b00e000 RDI=ffffc0004b00e000 RBP=ffffc0004aef8788 RSP=ffffc0004aef8770
//	RIP=ffffffff802d9789 RFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
var inRegisters = regexp.MustCompile(`\b(RIP|RSP|RBP|CPL|HLT)=([0-9a-f]+)`)

func parseRegisters(text string) (Where, registers, error) {
	found := make(map[string]uint64)
	for _, m := range inRegisters.FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseUint(m[2], 16, 64)
		if err != nil {
			return 0, registers{}, err
		}
		found[m[1]] = value
	}
	if len(found) != 5 {
		return 0, registers{}, fmt.Errorf("QEMU's registers are not those of a CPU in 64-bit mode: %q", text)
	}
	r := registers{found["RIP"], found["RSP"], found["RBP"]}
	switch {
	case found["HLT"] != 0:
		return Idle, r, nil
	case found["CPL"] != 0:
		return User, r, nil
	}
	return Kernel, r, nil
}
