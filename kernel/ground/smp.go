package ground

import "sync/atomic"

// startCPUs starts the other CPUs, one after the other.
func startCPUs() {
	prepared := false
	for i := uint64(0); i < foundCPUCount && cpuCount < maxCPUs; i++ {
		apic := foundCPUs[i%maxCPUs]
		if apic == me().lapicID {
			continue
		}
		if !prepared {
			prepareTrampoline()
			prepared = true
		}
		startCPU(apic)
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
// at its physical address.
func prepareTrampoline() {
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
}

// Control registers at boot; vmm/image uses the same values.
const (
	bootCR0  = 0x80010033 // PG WP NE ET MP PE
	bootCR4  = 0x6a0      // PAE PGE OSFXSR OSXMMEXCPT
	bootEFER = 0x901      // SCE LME NXE
)

// How long a CPU may take after the first and the second message that starts it, in ns. It takes less than a millisecond, unless the
// host doesn't run it.
const (
	shortPatience = billion / 5
	longPatience  = 50 * shortPatience
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
	for wait := uint64(shortPatience); wait <= longPatience && atomic.LoadUint64(&c.online) == 0; wait *= longPatience / shortPatience {
		sendICR(apic, icrStartup|trampoline>>12)
		for end := nowNS() + wait; nowNS() < end && atomic.LoadUint64(&c.online) == 0; {
			pause()
		}
	}
	if atomic.LoadUint64(&c.online) == 0 {
		sendICR(apic, icrINIT) // it must not come later: the next one gets its stacks
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
	initLAPIC()
	beginIdle(c)
	atomic.StoreUint64(&c.online, 1)
}
