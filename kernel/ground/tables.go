package ground

// Which CPUs and I/O APICs there are: the ACPI tables tell [ACPI 5.2], or, where there are none, the MP table [MP 4]. The
// functions here take the address at which physical memory appears, so that tests can give them some of their own.

// What the tables have told.
var (
	foundCPUs     [maxCPUs]uint64 // ids of local APICs, the first CPU's among them
	foundCPUCount uint64
	ioapics       [maxIOAPICs]ioapic
	ioapicCount   uint64
)

// readTables finds out the CPUs and I/O APICs.
func readTables() {
	if madt := findTable(direct, findRSDP(direct, rsdp), signatureMADT); madt != 0 {
		readMADT(madt)
	} else if mp := findMP(direct); mp != 0 {
		readMP(mp)
	}
	if ioapicCount == 0 {
		addIOAPIC(defaultIOAPIC, 0)
	}
}

func addCPU(apic uint64) {
	if foundCPUCount < maxCPUs {
		foundCPUs[foundCPUCount%maxCPUs] = apic
		foundCPUCount++
	}
}

// addIOAPIC remembers an I/O APIC whose first input is interrupt line first.
func addIOAPIC(base, first uint64) {
	if ioapicCount < maxIOAPICs {
		ioapics[ioapicCount%maxIOAPICs] = ioapic{base: direct + base, first: first}
		ioapicCount++
	}
}

// sum adds up n bytes. Tables are valid if it is zero.
func sum(va, n uint64) uint8 {
	s := uint8(0)
	for i := uint64(0); i < n; i++ {
		s += *p8(va + i)
	}
	return s
}

// Signatures, as little-endian numbers.
const (
	signatureRSDP = 0x2052545020445352 // "RSD PTR "
	signatureMADT = 0x43495041         // "APIC"
	signatureFADT = 0x50434146         // "FACP"
	signatureDSDT = 0x54445344         // "DSDT"
	signatureMP   = 0x5f504d5f         // "_MP_"
	signaturePCMP = 0x504d4350         // "PCMP"
)

// The root pointer [ACPI 5.2.5.3] and the header that all tables have [ACPI 5.2.6].
const (
	rsdpLength   = 20 // of revision 0, with a checksum of its own
	rsdpRevision = 15
	rsdpRSDT     = 16
	rsdpXSDT     = 24 // from revision 2 on

	sdtLength     = 4
	sdtHeaderSize = 36
	maxSDTLength  = 1 << 20
)

// biosArea is where firmware puts tables.
const biosArea, biosAreaEnd = 0xe0000, 0x100000

// findRSDP returns the physical address of the root pointer: where the boot loader says, else by its signature
// [ACPI 5.2.5.1]; 0 if there is none.
func findRSDP(memory, told uint64) uint64 {
	if told != 0 && told < fourGiB && *p64(memory + told) == signatureRSDP {
		return told
	}
	for a := uint64(biosArea); a < biosAreaEnd; a += 16 {
		if *p64(memory + a) == signatureRSDP && sum(memory+a, rsdpLength) == 0 {
			return a
		}
	}
	return 0
}

// findTable returns the address of the first table with a signature; 0 if there is none.
func findTable(memory, root uint64, signature uint32) uint64 {
	if root == 0 {
		return 0
	}
	size := uint64(4)
	list := uint64(*p32(memory + root + rsdpRSDT))
	if *p8(memory + root + rsdpRevision) >= 2 {
		if x := *p64(memory + root + rsdpXSDT); x != 0 && x < fourGiB {
			list, size = x, 8
		}
	}
	if list == 0 {
		return 0
	}
	list += memory
	end := list + tableLength(list)
	for e := list + sdtHeaderSize; e+size <= end; e += size {
		table := uint64(*p32(e)) // below 4 GiB, as all of them are in virtual machines
		if size == 8 {
			table = *p64(e)
		}
		if table == 0 || table >= fourGiB {
			continue
		}
		if *p32(memory + table) == signature {
			return memory + table
		}
	}
	return 0
}

// tableLength returns the length of a table, 0 if it can't be.
func tableLength(va uint64) uint64 {
	n := uint64(*p32(va + sdtLength))
	if n < sdtHeaderSize || n > maxSDTLength {
		return 0
	}
	return n
}

// findDSDT returns the address of the table with the machine's devices, to which the FADT points [ACPI 5.2.9]; 0 if there
// is none.
func findDSDT(memory, root uint64) uint64 {
	const fadtDSDT, fadtXDSDT = 40, 140
	fadt := findTable(memory, root, signatureFADT)
	if fadt == 0 {
		return 0
	}
	table := uint64(*p32(fadt + fadtDSDT))
	if tableLength(fadt) >= fadtXDSDT+8 {
		if x := *p64(fadt + fadtXDSDT); x != 0 {
			table = x
		}
	}
	if table == 0 || table >= fourGiB || *p32(memory + table) != signatureDSDT {
		return 0
	}
	return memory + table
}

// readMADT takes in the Multiple APIC Description Table [ACPI 5.2.12].
func readMADT(madt uint64) {
	const (
		entries    = 44
		localAPIC  = 0 // ACPI processor id, APIC id, 32-bit flags
		ioAPIC     = 1 // id, reserved, 32-bit address, 32-bit first line
		cpuEnabled = 1 << 0
	)
	end := madt + tableLength(madt)
	for e := madt + entries; e+2 <= end; {
		kind, size := *p8(e), uint64(*p8(e + 1))
		if size < 2 || e+size > end {
			return
		}
		switch {
		case kind == localAPIC && size >= 8 && *p32(e + 4)&cpuEnabled != 0:
			addCPU(uint64(*p8(e + 3)))
		case kind == ioAPIC && size >= 12:
			addIOAPIC(uint64(*p32(e + 4)), uint64(*p32(e + 8)))
		}
		e += size
	}
}

// The places where the MP table's floating pointer may be [MP 4], and the one where it is if no BIOS has told how large
// the base memory is: QEMU's qboot and Firecracker put it there.
const (
	bdaEBDA           = 0x40e // 16 bit: segment of the extended BIOS data area
	bdaBaseMemory     = 0x413 // 16 bit: KiB
	lastKiB           = 0x9fc00
	mpBIOS, mpBIOSEnd = 0xf0000, 0x100000
)

// findMP returns the address of the MP configuration table, 0 if there is none.
func findMP(memory uint64) uint64 {
	ebda, base := uint64(*p16(memory + bdaEBDA))<<4, uint64(*p16(memory + bdaBaseMemory))<<10
	for _, area := range [4][2]uint64{{ebda, 1024}, {base - 1024, 1024}, {lastKiB, 1024}, {mpBIOS, mpBIOSEnd - mpBIOS}} {
		if area[0] == 0 || area[0] >= mpBIOSEnd {
			continue
		}
		if table := searchMP(memory, area[0], area[0]+area[1]); table != 0 {
			return table
		}
	}
	return 0
}

// searchMP looks for a floating pointer [MP 4.1] in [start, end) and returns the address of its table.
func searchMP(memory, start, end uint64) uint64 {
	const size, pointer = 16, 4
	for a := start; a+size <= end; a += 16 {
		if *p32(memory + a) != signatureMP || sum(memory+a, size) != 0 {
			continue
		}
		table := uint64(*p32(memory + a + pointer))
		if table != 0 && *p32(memory + table) == signaturePCMP {
			return memory + table
		}
	}
	return 0
}

// readMP takes in the MP configuration table [MP 4.2]. Its length counts, not its number of entries, which qboot leaves 0.
func readMP(table uint64) {
	const (
		lengthField, entries = 4, 44
		processor, ioAPIC    = 0, 2
		processorSize        = 20
		otherSize            = 8
		enabled              = 1 << 0
	)
	end := table + uint64(*p16(table + lengthField))
	for e := table + entries; e+otherSize <= end; {
		usable := *p8(e + 3)&enabled != 0
		switch *p8(e) {
		case processor:
			if usable && e+processorSize <= end {
				addCPU(uint64(*p8(e + 1)))
			}
			e += processorSize
			continue
		case ioAPIC:
			if usable {
				addIOAPIC(uint64(*p32(e + 4)), counted)
			}
		}
		e += otherSize
	}
}
