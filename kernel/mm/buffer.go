package mm

import (
	"encoding/binary"
	"io"
	"math"

	"golang.org/x/sys/unix"
)

const (
	// MaxTransfer is the most that one read or write moves (MAX_RW_COUNT), read(2).
	MaxTransfer = math.MaxInt32 &^ (PageSize - 1)

	maxRanges   = 1024 // IOV_MAX
	sizeofIovec = 16
)

// Range is a piece of user memory; an array of them is laid out like one of struct iovec.
type Range struct {
	Addr uint64
	Len  uint64 // bytes
}

// Buffer is user memory as the destination or the source of a transfer (vfs.Dst, vfs.Src): Write stores
// bytes into it and Read fetches bytes from it, both from where the last one stopped. A Buffer can be
// used again after Reset, and then allocates nothing. It isn't safe for concurrent use.
type Buffer struct {
	space *Space
	at    Range   // what is left of the present piece
	rest  []Range // the pieces after it
	left  int     // bytes left in all pieces
}

// NewBuffer returns a Buffer over n bytes at va.
func NewBuffer(s *Space, va uint64, n int) *Buffer {
	b := new(Buffer)
	b.Reset(s, va, n)
	return b
}

// Reset makes b a buffer over n bytes at va, cut to MaxTransfer.
func (b *Buffer) Reset(s *Space, va uint64, n int) {
	n = min(max(n, 0), MaxTransfer)
	b.space, b.at, b.rest, b.left = s, Range{va, uint64(n)}, nil, n
}

// ResetRanges makes b a buffer over the ranges, one after the other, cut to MaxTransfer. It keeps the slice.
func (b *Buffer) ResetRanges(s *Space, ranges []Range) {
	*b = Buffer{space: s, rest: ranges}
	for _, r := range ranges {
		b.left += int(min(r.Len, uint64(MaxTransfer-b.left)))
	}
	b.next()
}

// next goes on to the next piece that isn't empty.
func (b *Buffer) next() {
	for b.at.Len == 0 && len(b.rest) > 0 {
		b.at, b.rest = b.rest[0], b.rest[1:]
	}
}

// Len returns how many bytes are left to be read or written.
func (b *Buffer) Len() int { return b.left }

// advance moves on by n bytes of the present piece.
func (b *Buffer) advance(n int) {
	b.at.Addr += uint64(n)
	b.at.Len -= uint64(n)
	b.left -= n
	b.next()
}

// Write stores p. It returns the count and unix.EFAULT where the buffer ends or the program couldn't
// write, or unix.ENOMEM.
func (b *Buffer) Write(p []byte) (n int, err error) {
	for n < len(p) && b.left > 0 {
		part := min(len(p)-n, b.left, int(min(b.at.Len, MaxTransfer)))
		done, err := b.space.copyOut(b.at.Addr, p[n:n+part])
		n += done
		b.advance(done)
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, unix.EFAULT
	}
	return n, nil
}

// Read fills p as far as there are bytes left, and returns the count and unix.EFAULT (or
// unix.ENOMEM) where the program couldn't read. With nothing left it returns io.EOF.
func (b *Buffer) Read(p []byte) (n int, err error) {
	if b.left == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	for n < len(p) && b.left > 0 {
		part := min(len(p)-n, b.left, int(min(b.at.Len, MaxTransfer)))
		done, err := b.space.copyIn(p[n:n+part], b.at.Addr)
		n += done
		b.advance(done)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// CopyInRanges reads an array of n struct iovec at va and appends it to dst[:0]. The errors are
// those of readv(2): EINVAL for too many or too long ones, EFAULT.
func (s *Space) CopyInRanges(dst []Range, va uint64, n int) ([]Range, error) {
	if n < 0 || n > maxRanges {
		return nil, unix.EINVAL
	}
	dst = dst[:0]
	var chunk [16 * sizeofIovec]byte
	for n > 0 {
		part := chunk[:min(n*sizeofIovec, len(chunk))]
		if err := s.CopyIn(part, va); err != nil {
			return nil, err
		}
		va += uint64(len(part))
		n -= len(part) / sizeofIovec
		for ; len(part) > 0; part = part[sizeofIovec:] {
			r := Range{binary.LittleEndian.Uint64(part), binary.LittleEndian.Uint64(part[8:])}
			if r.Len > math.MaxInt64 {
				return nil, unix.EINVAL
			}
			if r.Len > TaskEnd || r.Addr > TaskEnd-r.Len {
				return nil, unix.EFAULT
			}
			dst = append(dst, r)
		}
	}
	return dst, nil
}
