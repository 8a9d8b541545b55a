package vhostuser

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// maxRegions is VHOST_MEMORY_BASELINE_NREGIONS.
const maxRegions = 8

// region is a part of the guest's memory, mapped here.
type region struct {
	guest uint64 // guest physical address
	user  uint64 // address in the front-end, by which it names rings
	bytes []byte
	whole []byte // the mapping, which begins at a page
}

// Memory is the guest's. Its slices are valid until it is closed.
type Memory struct{ regions []region }

// A memory table is the number of regions, a word that is not used, and for each region four words of 64 bits: guest
// physical address, size, address in the front-end, offset in the file.
const (
	tableHeader = 8
	tableEntry  = 32
)

// mapTable maps the regions of a SET_MEM_TABLE message.
func mapTable(payload []byte, files []*os.File) (*Memory, error) {
	if len(payload) < tableHeader {
		return nil, fmt.Errorf("%w: a memory table of %d bytes", ErrProtocol, len(payload))
	}
	n := int(binary.NativeEndian.Uint32(payload))
	if n < 1 || n > maxRegions || len(files) != n || len(payload) < tableHeader+n*tableEntry {
		return nil, fmt.Errorf("%w: a memory table of %d regions with %d descriptors in %d bytes", ErrProtocol, n, len(files), len(payload))
	}
	m := new(Memory)
	for i := range n {
		e := payload[tableHeader+i*tableEntry:]
		word := func(i int) uint64 { return binary.NativeEndian.Uint64(e[8*i:]) }
		r := region{guest: word(0), user: word(2)}
		if err := r.mapFile(files[i], word(3), word(1)); err != nil {
			m.close()
			return nil, fmt.Errorf("memory region %d at %#x, %#x bytes: %w", i, r.guest, word(1), err)
		}
		m.regions = append(m.regions, r)
	}
	return m, nil
}

// mapFile maps the region's part of a file.
func (r *region) mapFile(f *os.File, offset, size uint64) error {
	if size == 0 || size > math.MaxInt64/2 || offset > math.MaxInt64/2 || r.guest+size < size || r.user+size < size {
		return fmt.Errorf("%w: out of range", ErrProtocol)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// Touching what is behind the end of a file raises SIGBUS.
	if info.Mode().IsRegular() && uint64(info.Size()) < offset+size {
		return fmt.Errorf("%w: it ends at %#x of a file of %#x bytes", ErrProtocol, offset+size, info.Size())
	}
	start := offset &^ uint64(os.Getpagesize()-1)
	r.whole, err = unix.Mmap(int(f.Fd()), int64(start), int(offset-start+size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	r.bytes = r.whole[offset-start:]
	return nil
}

func (m *Memory) close() {
	for _, r := range m.regions {
		unix.Munmap(r.whole)
	}
	m.regions = nil
}

// appendGuest appends to list the pieces of the memory at a guest physical address. Regions that follow each other are
// as one to the guest.
func (m *Memory) appendGuest(list [][]byte, addr uint64, size uint32) ([][]byte, error) {
	for done := uint64(0); done < uint64(size); {
		piece := m.guestPiece(addr+done, uint64(size)-done)
		if piece == nil {
			return list, fmt.Errorf("%w: %d bytes at %#x are not memory", ErrRing, size, addr)
		}
		list = append(list, piece)
		done += uint64(len(piece))
	}
	return list, nil
}

// guestPiece returns up to size bytes at a guest physical address, nil if there are none.
func (m *Memory) guestPiece(addr, size uint64) []byte {
	for i := range m.regions {
		r := &m.regions[i]
		if at := addr - r.guest; at < uint64(len(r.bytes)) {
			end := at + min(uint64(len(r.bytes))-at, size)
			return r.bytes[at:end:end]
		}
	}
	return nil
}

// userSlice returns the memory at an address of the front-end.
func (m *Memory) userSlice(what string, addr, size, align uint64) ([]byte, error) {
	if addr%align != 0 {
		return nil, fmt.Errorf("%w: %s at %#x, which is not aligned to %d", ErrProtocol, what, addr, align)
	}
	for i := range m.regions {
		r := &m.regions[i]
		if at := addr - r.user; at < uint64(len(r.bytes)) && size <= uint64(len(r.bytes))-at {
			return r.bytes[at : at+size : at+size], nil
		}
	}
	return nil, fmt.Errorf("%w: %s at %#x, %d bytes, is not memory", ErrProtocol, what, addr, size)
}
