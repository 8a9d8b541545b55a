// Package mm manages user address spaces: areas, page tables, page faults, and copying to and
// from user memory.
//
// It writes x86-64 page tables [SDM3 4.5] itself, in frames that a Machine hands out, and reaches
// user memory only by walking them; it never dereferences a user address. So the whole package runs
// in an ordinary process against a Machine made of Go memory.
package mm

// PhysAddr is a physical address.
type PhysAddr uint64

// PageSize is the size of a page in bytes. Larger pages are not used for programs.
const PageSize = 4096

// Machine is the memory of the machine, as ground provides it.
type Machine interface {
	// AllocFrame returns a zeroed frame; ok is false when programs have had their share (what
	// the kernel keeps in reserve for itself is never handed out here).
	AllocFrame() (pa PhysAddr, ok bool)

	// FreeFrames gives frames back. No translation to them may be left in any TLB.
	FreeFrames(pas []PhysAddr)

	// Page returns the memory of the frame at pa, which must be page-aligned.
	Page(pa PhysAddr) *[PageSize]byte

	// NewRoot returns a page-table root whose upper half is the kernel's and whose lower half is
	// empty. It is freed with FreeFrames.
	NewRoot() (root PhysAddr, ok bool)

	// Flush removes the translations of pages [va, va+n*PageSize) of root from the TLBs of all
	// CPUs before it returns. n == 0 means the whole lower half.
	Flush(root PhysAddr, va uint64, n int)
}
