// Package peer is what the network tests talk to, on either side: a TCP server that sends, takes and echoes
// streams of known bytes, with the client that goes with it, and a UDP server. The host runs it as the peer of a
// program in a VM; a program in the VM runs it as the peer of the host.
//
// A TCP client sends a line, and gets what it asks for:
//
//	send N SEED   N bytes of the stream SEED, then the end
//	take N SEED   the client sends N bytes of the stream; the answer is "ok N" or what was wrong
//	echo          everything comes back until the client's end
//	free          "PORT": a TCP port at which nobody listens, until the server ends
//	quit          "ok"; the server ends
package peer

import (
	"fmt"
	"io"
)

// chunkSize is how much is made, sent and compared at once, in bytes.
const chunkSize = 64 << 10

// Stream makes the bytes of a stream. Every place of it differs from its neighbours, and two streams differ
// from each other, so that lost, doubled and exchanged pieces show.
type Stream struct{ state uint64 }

// NewStream returns the stream of a seed, from its start.
func NewStream(seed uint64) *Stream { return &Stream{seed*2862933555777941757 + 3037000493} }

// Read fills p; it never fails. The bytes don't depend on how the reads are cut only if all but the last are a
// multiple of 8 long.
func (s *Stream) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		// Vigna's xorshift64*, https://vigna.di.unimi.it/ftp/papers/xorshift.pdf
		s.state ^= s.state >> 12
		s.state ^= s.state << 25
		s.state ^= s.state >> 27
		v := s.state * 2685821657736338717
		for j := i; j < min(i+8, len(p)); j++ {
			p[j] = byte(v)
			v >>= 8
		}
	}
	return len(p), nil
}

// Send writes n bytes of the stream.
func Send(w io.Writer, n int64, seed uint64) error {
	s := NewStream(seed)
	buf := make([]byte, min(n, chunkSize))
	for sent := int64(0); sent < n; {
		p := buf[:min(n-sent, chunkSize)]
		s.Read(p)
		m, err := w.Write(p)
		sent += int64(m)
		if err != nil {
			return fmt.Errorf("sent %d of %d bytes: %w", sent, n, err)
		}
	}
	return nil
}

// Take reads n bytes and compares each with the stream's.
func Take(r io.Reader, n int64, seed uint64) error {
	s := NewStream(seed)
	got, want := make([]byte, min(n, chunkSize)), make([]byte, min(n, chunkSize))
	for taken := int64(0); taken < n; {
		size := min(n-taken, chunkSize)
		m, err := io.ReadFull(r, got[:size])
		if err != nil {
			return fmt.Errorf("got %d of %d bytes: %w", taken+int64(m), n, err)
		}
		s.Read(want[:size])
		for i := range size {
			if got[i] != want[i] {
				return fmt.Errorf("byte %d of %d is %#x, want %#x", taken+i, n, got[i], want[i])
			}
		}
		taken += size
	}
	return nil
}

// TakeEnd checks that nothing is left.
func TakeEnd(r io.Reader) error {
	var one [1]byte
	n, err := r.Read(one[:])
	if n == 0 && err == io.EOF {
		return nil
	}
	return fmt.Errorf("got %d bytes and %v at the end, want EOF", n, err)
}
