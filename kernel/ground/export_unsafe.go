package ground

import (
	"unsafe"

	"wick/kernel/ground/regs"
)

// physical returns memory at a physical address below 4 GiB, or RAM.
func physical(pa, size uint64) []byte {
	// SAFETY: the direct map holds it for ever, and it isn't memory of the garbage collector.
	return unsafe.Slice((*byte)(pointer(direct+pa)), size)
}

// Page returns the memory of the frame at pa.
func Page(pa uint64) *[4096]byte {
	// SAFETY: as physical.
	return (*[4096]byte)(pointer(direct + pa&^pageMask))
}

// MMIO returns the 32-bit registers of a device at a physical address below 4 GiB. Use atomic loads and
// stores only.
func MMIO(pa uint64, sizeBytes int) []uint32 {
	// SAFETY: as physical; pa is aligned to 4 as all BARs are.
	return unsafe.Slice((*uint32)(pointer(direct+pa&^3)), sizeBytes/4)
}

func sliceAddress[T any](s []T) uint64 {
	// SAFETY: only for the duration of a call, and the elements hold no pointers; the caller keeps the slice alive.
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(s))))
}

func userAddress(u *regs.User) uint64 {
	// SAFETY: heap objects don't move, and the goroutine in Enter keeps u alive.
	return uint64(uintptr(unsafe.Pointer(u)))
}

// bytesAt returns memory of ground's own, which nobody may write.
func bytesAt(a, size uint64) []byte {
	// SAFETY: it is a part of the image, which is there for ever.
	return unsafe.Slice((*byte)(pointer(a)), size)
}
