package ground

import "sync/atomic"

// Paging-entry bits [SDM3 4.5].
const (
	pteP     = 1 << 0 // present
	pteW     = 1 << 1 // writable
	pteU     = 1 << 2 // user
	pteA     = 1 << 5
	pteD     = 1 << 6
	ptePS    = 1 << 7 // large page
	pteG     = 1 << 8 // global
	pteNX    = 1 << 63
	pteFrame = 0x000ffffffffff000
)

// The memory of the kernel's runtime: [mmapBase, mmapNext) is demand-zero. With the stacks of the CPUs, from mmapTop on, it
// has one entry of the top table, made at boot, so that every page-table root can share it.
const (
	mmapBase = 0xffffc00000000000
	mmapTop  = mmapBase + 511<<30
)

// The kernel image, with its demand-zero BSS.
const (
	imageBase = 0xffffffff80000000
	imageTop  = 0xffffffffc0000000
)

var (
	kernelRoot uint64 // physical address of the top table; its lower half is empty
	mmapNext   uint64 = mmapBase
	bssStart   uint64 // demand-zero part of the image, from the boot page
	bssEnd     uint64
)

// entryOf returns the address of the page-table entry of va, making tables if create; 0 if there is none.
func entryOf(va uint64, create bool) uint64 {
	table := kernelRoot
	for shift := uint64(39); shift > 12; shift -= 9 {
		e := direct + table + (va>>shift&511)*8
		if *p64(e)&pteP == 0 {
			if !create {
				return 0
			}
			*p64(e) = allocFrame() | pteP | pteW
		}
		table = *p64(e) & pteFrame
	}
	return direct + table + (va>>12&511)*8
}

// demandZero tells whether va is memory of the runtime that gets a page when it is touched.
func demandZero(va uint64) bool {
	return va >= mmapBase && va < atomic.LoadUint64(&mmapNext) || va >= bssStart && va < bssEnd
}

// fault resolves a page fault of ring 0, on the page-fault stack; sp is the stack pointer at the fault. It returns 0 if the
// instruction can go on, 1 if the fault is one of the running thread.
func fault(cr2, errorCode, ip, sp uint64) uint64 {
	c := me()
	if errorCode&pteP == 0 && demandZero(cr2) {
		held := c.locked != 0
		if !held {
			lock()
		}
		if e := entryOf(cr2, true); *p64(e)&pteP == 0 {
			*p64(e) = allocFrame() | pteP | pteW | pteNX
		}
		if !held {
			unlock()
		}
		return 0
	}
	if c.locked != 0 || onStacks(sp) {
		c.brokenVec, c.brokenErr, c.brokenCR2, c.brokenIP, c.brokenSP = vecPageFault, errorCode, cr2, ip, sp
		if onStacks(cr2) {
			die("stack overflow in ground")
		}
		die("page fault in ground")
	}
	return 1
}

// gather collects frames whose translations must be flushed before they are freed.
var gather [256]uint64

// unmapRange gives back the pages of [va, va+size) of the runtime's memory; they read as zero afterwards.
func unmapRange(va, size uint64) {
	n := uint64(0)
	for end := va + size; va < end; va += pageSize {
		e := entryOf(va, false)
		if e == 0 {
			va = va&^(2<<20-1) + 2<<20 - pageSize // nothing in this 2 MiB
			continue
		}
		if *p64(e)&pteP == 0 {
			continue
		}
		gather[n%256] = *p64(e) & pteFrame
		n++
		*p64(e) = 0
		invlpg(va)
		if n == 256 {
			freeGathered(n)
			n = 0
		}
	}
	if n > 0 {
		freeGathered(n)
	}
}

func freeGathered(n uint64) {
	shootdown(0)
	for i := uint64(0); i < n; i++ {
		freeFrame(gather[i%256])
	}
	kernelFrames -= n
}

// mapDirect makes sure that [pa, pa+size) is in the direct map, which at boot covers the first 4 GiB.
func mapDirect(pa, size uint64) {
	end := pa + size
	for pa &^= 2<<20 - 1; pa < end; pa += 2 << 20 {
		if pa < 4<<30 {
			continue
		}
		table := kernelRoot
		for shift := uint64(39); shift > 21; shift -= 9 {
			e := direct + table + ((direct+pa)>>shift&511)*8
			if *p64(e)&pteP == 0 {
				*p64(e) = allocFrame() | pteP | pteW
			}
			table = *p64(e) & pteFrame
		}
		*p64(direct + table + ((direct+pa)>>21&511)*8) = pa | pteP | pteW | pteA | pteD | ptePS | pteG | pteNX
	}
}
