package ground

import (
	"bytes"
	"testing"
	"unsafe"
)

// withEntropy returns the first random bytes after a generator that knows nothing has taken in some.
func withEntropy(pieces ...string) []byte {
	randomKey, randomCounter = [8]uint32{}, 0
	for _, p := range pieces {
		// SAFETY: the string stays alive and is only read.
		absorb(uint64(uintptr(unsafe.Pointer(unsafe.StringData(p)))), uint64(len(p)))
	}
	out := make([]byte, 64)
	// SAFETY: out is that long, and stays alive.
	random(uint64(uintptr(unsafe.Pointer(&out[0]))), uint64(len(out)))
	return out
}

// TestEntropyCounts: every byte that is taken in changes what comes out, wherever it is, and what comes out doesn't depend on
// anything else.
func TestEntropyCounts(t *testing.T) {
	base := bytes.Repeat([]byte{0x55}, 70)
	seen := map[string]int{string(withEntropy()): -1}
	if !bytes.Equal(withEntropy(string(base)), withEntropy(string(base))) {
		t.Fatal("the same entropy gives different bytes")
	}
	for i := range base {
		changed := bytes.Clone(base)
		changed[i] ^= 1
		out := string(withEntropy(string(changed)))
		if other, found := seen[out]; found {
			t.Errorf("byte %d makes as much of a difference as byte %d", i, other)
		}
		seen[out] = i
	}
	// What others choose later takes nothing away.
	if bytes.Equal(withEntropy("secret 1", "chosen"), withEntropy("secret 2", "chosen")) {
		t.Error("what was taken in first is gone")
	}
}
