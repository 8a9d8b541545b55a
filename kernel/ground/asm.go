package ground

// Implemented in asm_amd64.s.

func in8(port uint64) uint8
func in16(port uint64) uint16
func in32(port uint64) uint32
func out8(port uint64, v uint8)
func out16(port uint64, v uint16)
func out32(port uint64, v uint32)
func outBytes(port, address, n uint64)
func rdmsr(reg uint64) uint64
func wrmsr(reg, v uint64)
func rdtsc() uint64
func barrier()
func rdrand() (v uint64, ok bool)
func cpuid(leaf, subleaf uint64) (a, b, c, d uint32)
func readCR3() uint64
func readCR4() uint64
func writeCR4(v uint64)
func writeCR3(root uint64)
func writeDR6(v uint64)
func writeDR7(v uint64)
func invlpg(va uint64)
func pause()
func halt()
func clearPage(va uint64)

// frameBase returns the address of the frame pointer that its caller, a function with a frame, has saved: the word above it is
// the caller's return address.
func frameBase() uint64

// loadTables loads GDT, IDT, task register and segment registers and points GS at c.
func loadTables(gdt, idt, c uint64)

// currentCPU returns the address of this CPU's struct.
func currentCPU() uint64

// installVDSO makes the runtime read the clock by vdsoClock instead of a system call.
func installVDSO()

// Addresses of code that Go can't name.
func addrSyscallEntry() uint64
func addrIdleLoop() uint64
func addrStartRuntime() uint64
func addrAPEntry() uint64
func addrVectors() uint64
func addrVDSO() uint64

// tracksUse tells whether XGETBV knows that AVX state is initial, with XSAVE on for the moment for features.
func tracksUse(features uint64) bool

// enterUser leaves for ring 3 with the registers at u (a *regs.User) and returns when the thread is back.
func enterUser(u uint64)

// call asks ground for one of its own services (see calls.go).
func call(number, a, b, c uint64) uint64
