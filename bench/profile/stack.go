package profile

import (
	"bytes"
	"encoding/binary"
)

// registers are those of a CPU that tell where it is.
type registers struct{ ip, sp, bp uint64 }

// mostFrames bounds a stack.
const mostFrames = 64

// prologue is how Go's functions that have a frame begin, after the check of the stack's size: PUSHQ BP; MOVQ SP, BP.
var prologue = []byte{0x55, 0x48, 0x89, 0xe5}

const ret = 0xc3

// unwind returns where a CPU is and where the calls that it is in return to, the innermost first. code is the function that
// it is in, offset where in that, and memory what lies at its stack pointer.
//
// Go's functions with a frame keep the caller's frame pointer below the return address, and BP leads to it [Go, ABIInternal].
// At the beginning and at the end of a function BP is still, or again, the caller's.
func unwind(r registers, code []byte, offset int, memory []byte) []uint64 {
	word := func(at uint64) uint64 {
		if at < r.sp || at-r.sp > uint64(len(memory)) || uint64(len(memory))-(at-r.sp) < 8 {
			return 0
		}
		return binary.LittleEndian.Uint64(memory[at-r.sp:])
	}
	stack := []uint64{r.ip}
	add := func(pc uint64) bool {
		if pc != 0 {
			stack = append(stack, pc)
		}
		return pc != 0 && len(stack) < mostFrames
	}
	more := true
	switch pushed := bytes.Index(code, prologue); {
	case pushed < 0, offset <= pushed, offset < len(code) && code[offset] == ret:
		more = add(word(r.sp))
	case offset == pushed+1:
		more = add(word(r.sp + 8))
	}
	for bp := r.bp; more && add(word(bp+8)); {
		next := word(bp)
		if next <= bp {
			break
		}
		bp = next
	}
	return stack
}
