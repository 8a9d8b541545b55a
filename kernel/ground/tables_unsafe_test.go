package ground

import (
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// physicalMemory returns 4 GiB of memory, of which only what is touched costs anything, and its address.
func physicalMemory(t testing.TB) (memory []byte, address uint64) {
	t.Helper()
	const size = 4<<30 + 2<<20
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	return memory, addressOf(unsafe.SliceData(memory))
}

// forget clears what tables have told, before and after a test.
func forget() {
	foundCPUs, foundCPUCount = [maxCPUs]uint64{}, 0
	ioapics, ioapicCount = [maxIOAPICs]ioapic{}, 0
}

func found() []uint64 { return foundCPUs[:foundCPUCount] }

// fix makes the bytes of b add up to zero by the one at index i.
func fix(b []byte, i int) {
	b[i] = 0
	for j, c := range b {
		if j != i {
			b[i] -= c
		}
	}
}

var le = binary.LittleEndian

// putSDT writes a table of ACPI with its body.
func putSDT(memory []byte, at uint32, signature string, body []byte) {
	table := memory[at : int(at)+sdtHeaderSize+len(body)]
	copy(table, signature)
	le.PutUint32(table[4:], uint32(len(table)))
	copy(table[sdtHeaderSize:], body)
	fix(table, 9)
}

// putACPI writes a root pointer, tables that lead to two others, and the MADT of a machine with three CPUs, of which one is
// disabled, and two I/O APICs.
func putACPI(memory []byte, at uint32, revision byte) {
	rsdp := memory[at : at+36]
	copy(rsdp, "RSD PTR ")
	rsdp[rsdpRevision] = revision
	const rsdt, xsdt, madt, fadt, dsdt = 0x100000, 0x101000, 0x102000, 0x103000, 0x104000
	le.PutUint32(rsdp[rsdpRSDT:], rsdt)
	fix(rsdp[:20], 8)
	if revision >= 2 {
		le.PutUint32(rsdp[rsdpRSDT:], 0) // so that the test sees which is read
		fix(rsdp[:20], 8)
		le.PutUint64(rsdp[rsdpXSDT:], xsdt)
		fix(rsdp, 32)
	}
	putSDT(memory, rsdt, "RSDT", le.AppendUint32(le.AppendUint32(nil, fadt), madt))
	putSDT(memory, xsdt, "XSDT", le.AppendUint64(le.AppendUint64(nil, fadt), madt))
	putSDT(memory, fadt, "FACP", le.AppendUint32(nil, 0)[:4])
	le.PutUint32(memory[fadt+40:], dsdt)
	putSDT(memory, dsdt, "DSDT", []byte("\x10"))
	putSDT(memory, madt, "APIC", []byte{
		0, 0, 0xe0, 0xfe, 1, 0, 0, 0,
		0, 8, 0, 0, 1, 0, 0, 0,
		0, 8, 1, 5, 0, 0, 0, 0, // disabled
		2, 10, 0, 0, 2, 0, 0, 0, 0, 0, // an interrupt source override
		0, 8, 2, 9, 1, 0, 0, 0,
		1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,
		1, 12, 1, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0,
	})
}

func TestACPITables(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       uint32
		told     uint64
		revision byte
	}{
		{"RSDT, found by the signature", 0xf5a40, 0, 0},
		{"XSDT, found by the signature", 0xe0000, 0, 2},
		{"XSDT, told by the boot loader", 0x2fff0, 0x2fff0, 2},
	} {
		memory, address := physicalMemory(t)
		copy(memory[0xe1234:], "RSD PTR ") // in some code, not on a boundary
		copy(memory[0xe8000:], "RSD PTR ") // without a checksum
		memory[0xe8010] = 1
		putACPI(memory, c.at, c.revision)
		root := findRSDP(address, c.told)
		if root != uint64(c.at) {
			t.Errorf("%s: root pointer at %#x, want %#x", c.name, root, c.at)
			continue
		}
		if d := findDSDT(address, root); d != address+0x104000 {
			t.Errorf("%s: DSDT at %#x", c.name, d-address)
		}
		forget()
		readMADT(findTable(address, root, signatureMADT))
		if got := found(); !slices.Equal(got, []uint64{0, 9}) {
			t.Errorf("%s: CPUs %v, want 0 and 9", c.name, got)
		}
		if ioapicCount != 2 || ioapics[0].base != direct+0xfec00000 || ioapics[1].base != direct+0xfec01000 || ioapics[1].first != 24 {
			t.Errorf("%s: %d I/O APICs, %+v", c.name, ioapicCount, ioapics)
		}
		forget()
	}
}

// putMP writes a floating pointer and a table of two CPUs and one that is disabled, and an I/O APIC. count is what the header says.
func putMP(memory []byte, at, table uint32, count uint16) {
	pointer := memory[at : at+16]
	copy(pointer, "_MP_")
	le.PutUint32(pointer[4:], table)
	pointer[8], pointer[9] = 1, 4
	fix(pointer, 10)
	b := make([]byte, 44)
	copy(b, "PCMP")
	le.PutUint16(b[34:], count)
	cpu := func(id, flags byte) {
		b = append(append(b, 0, id, 0x14, flags), make([]byte, 16)...)
	}
	cpu(0, 3)
	cpu(1, 0)
	cpu(2, 1)
	b = append(b, 1, 0, 'I', 'S', 'A', ' ', ' ', ' ')
	b = append(b, 2, 2, 0x14, 1, 0, 0, 0xc0, 0xfe)
	b = append(b, 2, 3, 0x14, 0, 0, 0x10, 0xc0, 0xfe) // not usable
	b = append(b, 3, 0, 0, 0, 0, 4, 2, 4)
	le.PutUint16(b[4:], uint16(len(b)))
	fix(b, 7)
	copy(memory[table:], b)
}

func TestMPTable(t *testing.T) {
	for _, c := range []struct {
		name      string
		at, table uint32
		count     uint16
		prepare   func(memory []byte)
	}{
		{"as qboot and Firecracker put it", 0x9fc00, 0x9fc10, 0, func([]byte) {}},
		{"in the extended BIOS data area", 0x80010, 0xf1000, 5, func(m []byte) { le.PutUint16(m[bdaEBDA:], 0x8000) }},
		{"at the end of base memory", 0x7fff0, 0xf1000, 5, func(m []byte) { le.PutUint16(m[bdaBaseMemory:], 512) }},
		{"in the BIOS", 0xf6a90, 0xf6aa0, 5, func(m []byte) { copy(m[0xf0000:], "_MP_\x10\xfc\x09") }},
	} {
		memory, address := physicalMemory(t)
		c.prepare(memory)
		putMP(memory, c.at, c.table, c.count)
		table := findMP(address)
		if table != address+uint64(c.table) {
			t.Errorf("%s: table at %#x, want %#x", c.name, table-address, c.table)
			continue
		}
		forget()
		readMP(table)
		if got := found(); !slices.Equal(got, []uint64{0, 2}) {
			t.Errorf("%s: CPUs %v, want 0 and 2", c.name, got)
		}
		if ioapicCount != 1 || ioapics[0].base != direct+0xfec00000 || ioapics[0].first != counted {
			t.Errorf("%s: %d I/O APICs, %+v", c.name, ioapicCount, ioapics)
		}
		forget()
	}
}

func TestNoTables(t *testing.T) {
	_, address := physicalMemory(t)
	if a, b, c, d := findRSDP(address, 0), findMP(address), findTable(address, 0, signatureMADT), findDSDT(address, 0); a|b|c|d != 0 {
		t.Errorf("found %#x, %#x, %#x, %#x in empty memory", a, b, c, d)
	}
}

// FuzzTables gives tables that lie. Nothing but the 4 GiB may be looked at.
func FuzzTables(f *testing.F) {
	memory, address := physicalMemory(f)
	putACPI(memory, 0xf0000, 2)
	f.Add(slices.Clone(memory[0xf0000:0xf0024]), slices.Clone(memory[0x101000:0x101034]), slices.Clone(memory[0x102000:0x102060]), slices.Clone(memory[0x103000:0x103100]))
	putMP(memory, 0x100000, 0x100010, 0)
	f.Add(slices.Clone(memory[0x100000:0x100010]), slices.Clone(memory[0x100010:0x1000a0]), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, pointer, list, first, second []byte) {
		for i, b := range [][]byte{pointer, list, first, second} {
			if len(b) > 4096 {
				return
			}
			area := memory[0x100000+i*0x1000:][:0x1000]
			clear(area)
			copy(area, b)
		}
		const root = 0x100000
		forget()
		defer forget()
		if madt := findTable(address, root, signatureMADT); madt != 0 {
			readMADT(madt)
		}
		findDSDT(address, root)
		if table := searchMP(address, root, root+16); table != 0 {
			readMP(table)
		}
		if foundCPUCount > maxCPUs || ioapicCount > maxIOAPICs {
			t.Errorf("%d CPUs, %d I/O APICs", foundCPUCount, ioapicCount)
		}
	})
}
