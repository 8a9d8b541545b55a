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

// The kernel's page tables need no lock: an entry that is 0 is filled, and one that isn't is cleared, in one step. Tables are
// never given back.

// entryOf returns the address of the page-table entry of va, making tables if create; 0 if there is none.
func entryOf(va uint64, create bool) uint64 {
	table := kernelRoot
	for shift := uint64(39); shift > 12; shift -= 9 {
		e := direct + table + (va>>shift&511)*8
		if atomic.LoadUint64(p64(e)) == 0 {
			if !create {
				return 0
			}
			fill(e, pteP|pteW)
		}
		table = atomic.LoadUint64(p64(e)) & pteFrame
	}
	return direct + table + (va>>12&511)*8
}

// fill puts a zeroed frame in an entry, unless another CPU has just done so.
func fill(entry, flags uint64) {
	if f := allocFrame(); !atomic.CompareAndSwapUint64(p64(entry), 0, f|flags) {
		returnFrame(f)
	}
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
		if e := entryOf(cr2, true); atomic.LoadUint64(p64(e)) == 0 {
			fill(e, pteP|pteW|pteNX)
		}
		return 0
	}
	if onStacks(sp) {
		c.brokenVec, c.brokenErr, c.brokenCR2, c.brokenIP, c.brokenSP = vecPageFault, errorCode, cr2, ip, sp
		if onStacks(cr2) {
			die("stack overflow in ground")
		}
		die("page fault in ground")
	}
	return 1
}

// unmapRange gives back the pages of [va, va+size) of the runtime's memory; they read as zero afterwards.
func unmapRange(va, size uint64) {
	var gathered frameBatch // their translations must be flushed before they are freed
	n := uint64(0)
	for end := va + size; va < end; va += pageSize {
		e := entryOf(va, false)
		if e == 0 {
			va = va&^(2<<20-1) + 2<<20 - pageSize // nothing in this 2 MiB
			continue
		}
		frame := atomic.SwapUint64(p64(e), 0) & pteFrame
		if frame == 0 {
			continue
		}
		gathered[n%uint64(len(gathered))] = frame
		n++
		invlpg(va)
		if n == uint64(len(gathered)) {
			shootdown(0, false)
			returnFrames(&gathered, n)
			n = 0
		}
	}
	if n > 0 {
		shootdown(0, false)
		returnFrames(&gathered, n)
	}
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
