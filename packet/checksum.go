package packet

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit words of b to sum in one's complement arithmetic, an odd last byte counting as the upper half
// of a word [RFC 1071]. The result is folded to 16 bits.
func Sum(b []byte, sum uint16) uint16 {
	acc, carry := uint64(sum), uint64(0)
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	var last uint64
	for i, c := range b {
		last |= uint64(c) << (56 - 8*i)
	}
	acc, carry = bits.Add64(acc, last, carry)
	acc, carry = bits.Add64(acc, 0, carry)
	acc += carry
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return uint16(acc>>16 + acc&0xffff)
}

// add16 adds two folded sums.
func add16(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s + s>>16)
}

// checkState is what the dump says of one checksum.
type checkState uint8

const (
	checkOK        checkState = iota
	checkBad                  // differs from what was computed
	checkNone                 // the sender computed none
	checkOffload              // left to the card
	checkHardware             // the card has verified it
	checkTruncated            // not all covered bytes are there
	checkFragment             // covers more than this fragment
)

// checkResult is a verdict with what the checksum should have been.
type checkResult struct {
	state checkState
	want  uint16
}

// verify judges the checksum got, part of the bytes that sum covers.
func verify(sum, got uint16) checkResult {
	if sum == 0xffff {
		return checkResult{state: checkOK}
	}
	return checkResult{checkBad, ^add16(sum, ^got)}
}

// String returns the verdict as packet dumps word it.
func (s checkState) String() string {
	return pick(int(s), "ok", "bad", "none", "offload", "hw-ok", "unchecked(truncated)", "unchecked(fragment)")
}

// appendCheck appends the verdict as packet dumps word it.
func appendCheck(b []byte, r checkResult) []byte {
	if r.state != checkBad {
		return append(b, r.state.String()...)
	}
	b = append(b, "!bad(want "...)
	b = appendHex(b, uint64(r.want), 4)
	return append(b, ')')
}
