package ground

// What the CPU forbids the kernel, or programs, if it can.

const (
	cr4UMIP = 1 << 11 // programs can't read the addresses of descriptor tables
	cr4SMEP = 1 << 20 // ring 0 can't execute user pages
	cr4SMAP = 1 << 21 // ring 0 can't access user pages: it reaches user memory through the direct map

	cpuidSMEP = 1 << 7  // leaf 7, EBX
	cpuidSMAP = 1 << 20 // leaf 7, EBX
	cpuidUMIP = 1 << 2  // leaf 7, ECX
)

// haveSMAP tells the assembly to clear AC, which would lift SMAP, when it comes from a program: interrupt gates keep it.
var haveSMAP uint64

// protect turns on what this CPU has.
//
// DEVIATION: Linux emulates SGDT, SIDT and SMSW for programs when UMIP forbids them; here they are SIGSEGV.
func protect() {
	if top, _, _, _ := cpuid(0, 0); top < 7 {
		return
	}
	_, b, c, _ := cpuid(7, 0)
	cr4 := readCR4()
	if c&cpuidUMIP != 0 {
		cr4 |= cr4UMIP
	}
	if b&cpuidSMEP != 0 {
		cr4 |= cr4SMEP
	}
	if b&cpuidSMAP != 0 {
		cr4 |= cr4SMAP
		haveSMAP = 1
	}
	writeCR4(cr4)
}
