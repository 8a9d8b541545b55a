package mm

// Bounds of user addresses, as Linux has them with four-level paging (Documentation/arch/x86/x86_64/mm.rst).
const (
	// TaskEnd is the first address above user memory. The last page of the lower half is never
	// used: a SYSCALL at its end would have a non-canonical return address.
	TaskEnd = 0x7ffffffff000
	// MinAddr is the lowest address that may be mapped (vm.mmap_min_addr).
	MinAddr = 64 << 10
)

const (
	defaultMaxAreas = 65530 // vm.max_map_count
	defaultStack    = 8 << 20
	minStackGap     = 128 << 20 // least distance between TaskEnd and the mappings
	stackGuardGap   = 1 << 20   // unmapped bytes below the stack
)

// How far things are moved at random, as Linux does on x86-64 (arch_mmap_rnd, randomize_stack_top, arch_align_stack,
// arch_randomize_brk).
const (
	stackRandomPages = 1 << 22
	stackRandomBytes = 8 << 10 // of the stack pointer, in units of 16
	mmapRandomPages  = 1 << 28
	pieRandomPages   = 1 << 28
	brkRandomPages   = 32 << 20 / PageSize
)

// Limits bound an address space. A zero field means the default.
type Limits struct {
	Areas  int    // number of areas (vm.max_map_count): 65530
	Size   uint64 // bytes of all areas (RLIMIT_AS): no limit
	Commit uint64 // bytes of one private writable mapping (heuristic overcommit): no limit
	Stack  uint64 // bytes of the main thread's stack (RLIMIT_STACK): 8 MiB

	// Pick returns a number from 0 to n-1 that nobody can guess, by which things are moved; nil: they are not.
	Pick func(n uint64) uint64
}

// Layout says where things are put in an address space.
type Layout struct {
	StackTop  uint64 // end of the main thread's stack
	StackSize uint64 // bytes
	StackGap  uint64 // bytes of the stack between the strings and what the stack pointer points at at first
	MmapBase  uint64 // mappings are placed downwards from here
	PIEBase   uint64 // lowest address of a position-independent program
	BrkGap    uint64 // bytes between the program and its heap
}

// layoutFor decides the layout of a new address space.
func layoutFor(l Limits) Layout {
	stack := l.Stack
	if stack == 0 {
		stack = defaultStack
	}
	stack = pageUp(min(stack, TaskEnd/6))
	layout := Layout{
		StackTop:  TaskEnd,
		StackSize: stack,
		MmapBase:  TaskEnd - max(minStackGap, stack+stackGuardGap),
		PIEBase:   0x555555554000,
	}
	if l.Pick != nil {
		layout.StackTop -= l.Pick(stackRandomPages) * PageSize
		layout.StackGap = l.Pick(stackRandomBytes/16) * 16
		layout.MmapBase -= (stackRandomPages + l.Pick(mmapRandomPages)) * PageSize
		layout.PIEBase += l.Pick(pieRandomPages) * PageSize
		layout.BrkGap = l.Pick(brkRandomPages) * PageSize
	}
	return layout
}

// pageUp rounds n up to a page; it wraps to 0 in the last page of the address space.
func pageUp(n uint64) uint64 { return (n + PageSize - 1) &^ (PageSize - 1) }

// pageDown rounds n down to a page.
func pageDown(n uint64) uint64 { return n &^ (PageSize - 1) }

func aligned(n uint64) bool { return n&(PageSize-1) == 0 }
