package ground

// The clocks of programs: code that reads them in ring 3 (vdso_amd64.s), and the page that it computes them from.

// vdsoData begins the page [vvar] of programs, which they can only read. It is written before any program runs, and stays: the
// TSC's scale is not adjusted, and nothing sets the wall clock later. So who reads it needs no sequence count.
type vdsoData struct {
	tscStart   uint64 // as the kernel's own
	nsPerTick  uint64
	wallOffset int64
}

// vdsoSize is the size of the code in bytes; vdsoEntry is the distance of its entry points.
const (
	vdsoSize  = 512
	vdsoEntry = 16
)

// tscTogether: KVM vouches for the TSCs of all CPUs going together. It can't where the host's don't.
var tscTogether bool

// vdsoFrame is the frame of vdsoData.
var vdsoFrame uint64

// initVDSO makes the page for programs, with a clock that counts from the same instant as the kernel's.
func initVDSO() {
	vdsoFrame = allocFrame()
	d := vdsoDataAt(direct + vdsoFrame)
	d.tscStart, d.nsPerTick = tscStart, nsPerTick
}

// clocksAgree tells whether no CPU's TSC shows an earlier time than another's has shown before. Where there is no KVM, the CPUs are
// emulated, with one TSC for all.
func clocksAgree() bool { return tscTogether || fromKVM == 0 || cpuCount == 1 }
