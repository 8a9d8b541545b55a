package image

import (
	"debug/elf"
	"encoding/binary"
)

// Paging-entry bits [SDM3 4.5].
const (
	present  = 1 << 0
	writable = 1 << 1
	accessed = 1 << 5
	dirty    = 1 << 6
	large    = 1 << 7
	global   = 1 << 8
	noExec   = 1 << 63
	frame    = 0x000ffffffffff000
)

// directMap is where ground finds all physical memory; the tables map its first 4 GiB.
const (
	directMap     = 0xffff800000000000
	directMapSize = 4 << 30
	largePage     = 2 << 20
)

// tables are page tables under construction. Table i is at base + i*pageSize.
type tables struct {
	base  uint64
	pages [][512]uint64
	root  uint64 // physical address of the top table
}

func newTables(base uint64) *tables {
	t := &tables{base: base}
	t.root = t.add()
	return t
}

func (t *tables) add() uint64 {
	t.pages = append(t.pages, [512]uint64{})
	return t.base + uint64(len(t.pages)-1)*pageSize
}

func (t *tables) at(pa uint64) *[512]uint64 { return &t.pages[(pa-t.base)/pageSize] }

// end is the first address behind the tables.
func (t *tables) end() uint64 { return t.base + uint64(len(t.pages))*pageSize }

// set maps va by an entry at the level whose pages have 1<<shift bytes.
func (t *tables) set(va, entry uint64, pageShift uint) {
	table := t.root
	for shift := uint(39); shift > pageShift; shift -= 9 {
		i := va >> shift & 511
		if t.at(table)[i] == 0 {
			next := t.add()
			t.at(table)[i] = next | present | writable
		}
		table = t.at(table)[i] & frame
	}
	t.at(table)[va>>pageShift&511] = entry
}

// mapKernel maps a page of the kernel, never writable and executable at once.
func (t *tables) mapKernel(va, pa uint64, flags elf.ProgFlag) {
	entry := pa | present | accessed | dirty | global
	if flags&elf.PF_W != 0 {
		entry |= writable
	}
	if flags&elf.PF_X == 0 {
		entry |= noExec
	}
	t.set(va, entry, 12)
}

// mapDirect maps physical memory, not executable, and not writable where the kernel isn't: what fixed tells of a page. Large
// pages that have some of that are mapped by small ones.
func (t *tables) mapDirect(fixed func(pa uint64) bool) {
	const flags = present | accessed | dirty | global | noExec
	for pa := uint64(0); pa < directMapSize; pa += largePage {
		if !anyPage(pa, fixed) {
			t.set(directMap+pa, pa|flags|writable|large, 21)
			continue
		}
		for page := pa; page < pa+largePage; page += pageSize {
			entry := page | flags
			if !fixed(page) {
				entry |= writable
			}
			t.set(directMap+page, entry, 12)
		}
	}
}

// anyPage tells whether fixed holds for any page of the large page at pa.
func anyPage(pa uint64, fixed func(pa uint64) bool) bool {
	for page := pa; page < pa+largePage; page += pageSize {
		if fixed(page) {
			return true
		}
	}
	return false
}

// mapStub maps the page of the boot stub where it is, for the moment in which paging comes on.
func (t *tables) mapStub(pa uint64) {
	t.set(pa, pa|present|accessed|dirty, 12)
}

func (t *tables) bytes() []byte {
	var b []byte
	for i := range t.pages {
		for _, e := range t.pages[i] {
			b = binary.LittleEndian.AppendUint64(b, e)
		}
	}
	return b
}
