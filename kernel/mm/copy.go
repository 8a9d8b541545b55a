package mm

import (
	"bytes"
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"
)

// CopyIn fills dst from user memory at va. The error is unix.EFAULT where the program couldn't
// read, or unix.ENOMEM.
func (s *Space) CopyIn(dst []byte, va uint64) error {
	_, err := s.copyIn(dst, va)
	return err
}

// copyIn is CopyIn; it also returns how much has been copied.
func (s *Space) copyIn(dst []byte, va uint64) (int, error) {
	s.mu.RLock()
	n := 0
	for n < len(dst) {
		page, outcome := s.page(va, false)
		if outcome != Handled {
			s.runlock()
			return n, outcome.err()
		}
		c := copy(dst[n:], page[va&(PageSize-1):])
		n += c
		va += uint64(c)
	}
	s.runlock()
	return n, nil
}

// CopyOut stores src in user memory at va. The error is unix.EFAULT where the program couldn't
// write, or unix.ENOMEM; what comes before has been stored.
func (s *Space) CopyOut(va uint64, src []byte) error {
	_, err := s.copyOut(va, src)
	return err
}

// copyOut is CopyOut; it also returns how much has been copied.
func (s *Space) copyOut(va uint64, src []byte) (int, error) {
	s.mu.RLock()
	n := 0
	for n < len(src) {
		page, outcome := s.page(va, true)
		if outcome != Handled {
			s.runlock()
			return n, outcome.err()
		}
		c := copy(page[va&(PageSize-1):], src[n:])
		n += c
		va += uint64(c)
	}
	s.runlock()
	return n, nil
}

// Zero stores n zero bytes in user memory at va. The errors are those of CopyOut.
func (s *Space) Zero(va, n uint64) error {
	s.mu.RLock()
	defer s.runlock()
	for n > 0 {
		page, outcome := s.page(va, true)
		if outcome != Handled {
			return outcome.err()
		}
		part := page[va&(PageSize-1):]
		part = part[:min(n, uint64(len(part)))]
		clear(part)
		va += uint64(len(part))
		n -= uint64(len(part))
	}
	return nil
}

// CopyInString returns the string at va, without the zero byte that ends it. If there is none in the
// first max bytes the error is unix.ENAMETOOLONG.
func (s *Space) CopyInString(va uint64, max int) (string, error) {
	s.mu.RLock()
	defer s.runlock()
	for n := 0; n < max; {
		page, outcome := s.page(va+uint64(n), false)
		if outcome != Handled {
			return "", outcome.err()
		}
		part := page[(va+uint64(n))&(PageSize-1):]
		part = part[:min(len(part), max-n)]
		end := bytes.IndexByte(part, 0)
		switch {
		case end >= 0 && n == 0:
			return string(part[:end]), nil
		case end >= 0:
			return s.copyString(va, n+end)
		}
		n += len(part)
	}
	return "", unix.ENAMETOOLONG
}

// copyString returns the n bytes at va, or what another thread has left of them before a zero byte. s.mu is held for reading.
func (s *Space) copyString(va uint64, n int) (string, error) {
	var b strings.Builder
	b.Grow(n)
	for b.Len() < n {
		at := va + uint64(b.Len())
		page, outcome := s.page(at, false)
		if outcome != Handled {
			return "", outcome.err()
		}
		part := page[at&(PageSize-1):]
		b.Write(part[:min(len(part), n-b.Len())])
	}
	text, _, _ := strings.Cut(b.String(), "\x00")
	return text, nil
}

// Uint32 reads a little-endian number at va, which needn't be aligned.
func (s *Space) Uint32(va uint64) (uint32, error) {
	var b [4]byte
	_, err := s.copyIn(b[:], va)
	return binary.LittleEndian.Uint32(b[:]), err
}

// Uint64 reads a little-endian number at va.
func (s *Space) Uint64(va uint64) (uint64, error) {
	var b [8]byte
	_, err := s.copyIn(b[:], va)
	return binary.LittleEndian.Uint64(b[:]), err
}

// PutUint32 stores a little-endian number at va.
func (s *Space) PutUint32(va uint64, v uint32) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	_, err := s.copyOut(va, b[:])
	return err
}

// PutUint64 stores a little-endian number at va.
func (s *Space) PutUint64(va uint64, v uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	_, err := s.copyOut(va, b[:])
	return err
}

// LoadUint32 reads the word at va atomically. va must be a multiple of 4 (unix.EINVAL).
func (s *Space) LoadUint32(va uint64) (v uint32, err error) {
	if va&3 != 0 {
		return 0, unix.EINVAL
	}
	s.mu.RLock()
	page, outcome := s.page(va, false)
	if outcome == Handled {
		v = loadWord(page, va&(PageSize-1))
	}
	s.runlock()
	return v, outcome.err()
}

// StoreUint32 stores the word at va atomically. va must be a multiple of 4 (unix.EINVAL).
func (s *Space) StoreUint32(va uint64, v uint32) error {
	if va&3 != 0 {
		return unix.EINVAL
	}
	s.mu.RLock()
	page, outcome := s.page(va, true)
	if outcome == Handled {
		storeWord(page, va&(PageSize-1), v)
	}
	s.runlock()
	return outcome.err()
}

// CompareAndSwapUint32 replaces the word at va by v if it is old, atomically. va must be a multiple of
// 4 (unix.EINVAL).
func (s *Space) CompareAndSwapUint32(va uint64, old, v uint32) (swapped bool, err error) {
	if va&3 != 0 {
		return false, unix.EINVAL
	}
	s.mu.RLock()
	page, outcome := s.page(va, true)
	if outcome == Handled {
		swapped = casWord(page, va&(PageSize-1), old, v)
	}
	s.runlock()
	return swapped, outcome.err()
}
