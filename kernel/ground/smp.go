package ground

import "sync/atomic"

// ACPI tables [ACPI 5.2]: where the number of CPUs stands.
const (
	sdtLength     = 4
	sdtHeaderSize = 36
	madtEntries   = 44
	madtLocalAPIC = 0
	madtEnabled   = 1 << 0
)

// findRSDP looks where firmware puts the root pointer if the boot loader didn't say [ACPI 5.2.5.1].
func findRSDP() uint64 {
	if rsdp != 0 {
		return rsdp
	}
	const signature = 0x2052545020445352 // "RSD PTR "
	for a := uint64(0xe0000); a < 0x100000; a += 16 {
		if *p64(direct + a) == signature {
			return a
		}
	}
	return 0
}

// findMADT returns the physical address of the table that lists the CPUs, or 0.
func findMADT() uint64 {
	const signature = 0x43495041 // "APIC"
	r := findRSDP()
	if r == 0 || r >= fourGiB {
		return 0
	}
	// The RSDT: 32-bit addresses, which every machine of QEMU has.
	root := uint64(*p32(direct + r + 16))
	if root == 0 {
		return 0
	}
	n := (uint64(*p32(direct + root + sdtLength)) - sdtHeaderSize) / 4
	for i := uint64(0); i < n && i < 64; i++ {
		table := uint64(*p32(direct + root + sdtHeaderSize + i*4))
		if *p32(direct + table) == signature {
			return table
		}
	}
	return 0
}

// startCPUs starts the other CPUs, one after the other.
func startCPUs() {
	madt := findMADT()
	if madt == 0 {
		return
	}
	end := madt + uint64(*p32(direct + madt + sdtLength))
	tables := uint64(0)
	for e := madt + madtEntries; e+8 <= end && cpuCount < maxCPUs; {
		kind, size := *p8(direct + e), uint64(*p8(direct + e + 1))
		if size < 2 {
			break
		}
		apic := uint64(*p8(direct + e + 3))
		if kind == madtLocalAPIC && *p32(direct + e + 4)&madtEnabled != 0 && apic != me().lapicID {
			if tables == 0 {
				tables = prepareTrampoline()
			}
			startCPU(apic)
		}
		e += size
	}
}

// The trampoline: where a started CPU begins, in real mode. It must lie below 1 MiB, on a page.
const (
	trampoline      = 0x8000
	trampolineGDTR  = 0x100
	trampolineGDT   = 0x110
	trampolineCPU   = 0x180 // parameters for ·apEntry
	trampolineRoot  = 0x188
	trampolineStack = 0x190
)

// prepareTrampoline writes the trampoline and makes page tables that are the kernel's with the trampoline's page mapped
// at its physical address. It returns their root.
func prepareTrampoline() uint64 {
	root := allocFrame()
	copyWords(direct+root, direct+kernelRoot, pageSize/8)
	low, dir, table := allocFrame(), allocFrame(), allocFrame()
	*p64(direct + root) = low | pteP | pteW
	*p64(direct + low) = dir | pteP | pteW
	*p64(direct + dir) = table | pteP | pteW
	*p64(direct + table + trampoline>>12*8) = trampoline | pteP | pteW

	w := uint64(direct + trampoline)
	put := func(size int, v uint64) {
		for ; size > 0; size-- {
			*p8(w) = uint8(v)
			w++
			v >>= 8
		}
	}
	// Real mode: CLI; CLD; XOR AX,AX; MOV DS,AX; LGDT [gdtr]; CR0.PE = 1; far jump to 32-bit code.
	put(6, 0xd88ec031fcfa)
	put(5, (trampoline+trampolineGDTR)<<24|0x16010f)
	put(8, 0xc0220f010cc0200f)
	put(2, 0xea66)
	put(4, trampoline+0x40)
	put(2, 0x18)
	// Protected mode: data segments; page tables; CR4 as on the first CPU; EFER: SCE LME NXE; CR0: PG WP.
	w = direct + trampoline + 0x40
	put(5, 0x10<<8|0xb8)
	put(4, 0xd08ed88e)
	put(5, root<<8|0xb8)
	put(3, 0xd8220f)
	put(5, bootCR4<<8|0xb8)
	put(3, 0xe0220f)
	put(5, msrEFER<<8|0xb9)
	put(3, 0x0d320f)
	put(4, bootEFER)
	put(2, 0x300f)
	put(5, bootCR0<<8|0xb8)
	put(3, 0xc0220f)
	// Far jump to 64-bit code: MOV RAX, apEntry; JMP RAX.
	put(1, 0xea)
	put(4, w-direct+6)
	put(2, 0x08)
	put(2, 0xb848)
	put(8, addrAPEntry())
	put(2, 0xe0ff)

	*p16(direct + trampoline + trampolineGDTR) = 4*8 - 1
	*p32(direct + trampoline + trampolineGDTR + 2) = trampoline + trampolineGDT
	gdt := uint64(direct + trampoline + trampolineGDT)
	*p64(gdt), *p64(gdt + 8), *p64(gdt + 16), *p64(gdt + 24) = 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
	return root
}

// Control registers at boot; vmm/image uses the same values.
const (
	bootCR0  = 0x80010033 // PG WP NE ET MP PE
	bootCR4  = 0x6a0      // PAE PGE OSFXSR OSXMMEXCPT
	bootEFER = 0x901      // SCE LME NXE
)

// startCPU starts the CPU with the given APIC id [SDM3 8.4.4.1] and waits until it is up.
func startCPU(apic uint64) {
	c := cpuByID(cpuCount)
	c.id = cpuCount
	mapStacks(c.id)
	useStacks(c)
	*p64(direct + trampoline + trampolineCPU) = addressOf(c)
	*p64(direct + trampoline + trampolineRoot) = kernelRoot
	*p64(direct + trampoline + trampolineStack) = c.groundSP
	sendICR(apic, icrINIT)
	delayNS(200000)
	for try := 0; try < 2 && atomic.LoadUint64(&c.online) == 0; try++ {
		sendICR(apic, icrStartup|trampoline>>12)
		for i := 0; i < 2000 && atomic.LoadUint64(&c.online) == 0; i++ {
			delayNS(100000)
		}
	}
	if atomic.LoadUint64(&c.online) == 0 {
		puts("wick: a CPU did not start, APIC id ")
		putDec(apic)
		puts("\n")
		return
	}
	cpuCount++
}

func delayNS(ns uint64) {
	for end := nowNS() + ns; nowNS() < end; {
		pause()
	}
}

// apBoot runs on a started CPU, on its ground stack. It ends in the idle loop.
func apBoot(c *cpu) {
	initCPU(c.id)
	initLAPIC(false)
	c.flushSeen = atomic.LoadUint64(&flushGen)
	atomic.StoreUint64(&c.online, 1)
}
