package ground

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SAFETY: the tests call the code that programs would, on pages of their own, with memory that stays where it is: mapped, not
// allocated.

// vdsoCopy is the code as a program has it: behind a page with vdsoData.
type vdsoCopy struct {
	memory []byte
	data   *vdsoData
	out    []int64 // two words for results
}

func newVDSOCopy(t *testing.T) *vdsoCopy {
	t.Helper()
	mapped := func(size int) []byte {
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Munmap(b) })
		return b
	}
	v := &vdsoCopy{memory: mapped(2 * pageSize)}
	v.data = (*vdsoData)(unsafe.Pointer(&v.memory[0]))
	v.out = unsafe.Slice((*int64)(unsafe.Pointer(&mapped(pageSize)[0])), 2)
	// Not at the start of the page: there the ELF header is.
	copy(v.memory[pageSize+vdsoAt:], bytesAt(addrVDSO(), vdsoSize))
	if err := unix.Mprotect(v.memory[pageSize:], unix.PROT_READ|unix.PROT_EXEC); err != nil {
		t.Fatal(err)
	}
	return v
}

const vdsoAt = 1024

// The functions, as VDSO numbers them.
const (
	vdsoClockGettime = iota
	vdsoGettimeofday
	vdsoTime
	vdsoGetcpu
	vdsoClockGetres
)

// call calls a function in the C convention. Go passes its fourth and fifth word in the registers in which C passes the first
// two, DI and SI, and takes the result from AX, too; what C may clobber, Go expects to be clobbered.
func (v *vdsoCopy) call(function int, di, si uintptr) int64 {
	entry := uintptr(unsafe.Pointer(&v.memory[pageSize+vdsoAt+function*vdsoEntry]))
	closure := &entry
	f := *(*func(_, _, _, di, si uintptr) int64)(unsafe.Pointer(&closure))
	return f(0, 0, 0, di, si)
}

func (v *vdsoCopy) outAddress() uintptr { return uintptr(unsafe.Pointer(&v.out[0])) }

// timespec has a function fill in a struct timespec of a clock.
func (v *vdsoCopy) timespec(t *testing.T, function, clock int) (sec, part int64) {
	t.Helper()
	v.out[0], v.out[1] = -1, -1
	if r := v.call(function, uintptr(clock), v.outAddress()); r != 0 {
		t.Fatalf("clock %d: %d", clock, r)
	}
	return v.out[0], v.out[1]
}

func TestVDSOIsWhole(t *testing.T) {
	if got := string(bytesAt(addrVDSO()+vdsoSize, 4)); got != "vdso" {
		t.Errorf("behind the code there is %q: it is not vdsoSize long", got)
	}
	code := bytesAt(addrVDSO(), vdsoSize)
	for entry := 0; entry < 5; entry++ {
		if op := code[entry*vdsoEntry]; op != 0xe9 && op != 0xeb {
			t.Errorf("entry %d begins with %#x, no jump", entry, op)
		}
	}
}

// TestVDSOClocks has the code compute times of the TSC of this machine, with several scales, and compares with what the kernel
// computes.
func TestVDSOClocks(t *testing.T) {
	defer func(scale, start uint64) { nsPerTick, tscStart = scale, start }(nsPerTick, tscStart)
	v := newVDSOCopy(t)
	for _, scale := range []uint64{1 << 32, 1 << 31, 1<<32 + 12345, 1431655765, 1 << 35} {
		for _, wall := range []int64{0, 1_790_000_000_123_456_789, -5} {
			nsPerTick, tscStart = scale, rdtsc()-1<<40-12345
			*v.data = vdsoData{tscStart: tscStart, nsPerTick: nsPerTick, wallOffset: wall}
			for clock, isWall := range map[int]bool{
				unix.CLOCK_MONOTONIC: false, unix.CLOCK_MONOTONIC_RAW: false, unix.CLOCK_MONOTONIC_COARSE: false, unix.CLOCK_BOOTTIME: false,
				unix.CLOCK_REALTIME: true, unix.CLOCK_REALTIME_COARSE: true, unix.CLOCK_TAI: true,
			} {
				offset := int64(0)
				if isWall {
					offset = wall
				}
				before := int64(nowNS()) + offset
				sec, ns := v.timespec(t, vdsoClockGettime, clock)
				after := int64(nowNS()) + offset
				if got := sec*billion + ns; got < before || got > after || ns < 0 || ns >= billion {
					t.Errorf("scale %#x, clock %d: %d s %d ns, not in %d to %d", scale, clock, sec, ns, before, after)
				}
			}
			before := int64(nowNS()) + wall
			sec, us := v.timeOfDay(t)
			after := int64(nowNS()) + wall
			if got := sec*1000000 + us; got < before/1000 || got > after/1000 || us < 0 || us >= 1000000 {
				t.Errorf("scale %#x: gettimeofday is %d s %d us, not in %d to %d", scale, sec, us, before/1000, after/1000)
			}
			got := v.call(vdsoTime, v.outAddress(), 0)
			if got < before/billion || got > (int64(nowNS())+wall)/billion || v.out[0] != got || v.call(vdsoTime, 0, 0) < got {
				t.Errorf("scale %#x: time is %d, and stored %d; gettimeofday was %d", scale, got, v.out[0], sec)
			}
		}
	}
}

// timeOfDay calls gettimeofday, with and without what it can do without.
func (v *vdsoCopy) timeOfDay(t *testing.T) (sec, us int64) {
	t.Helper()
	v.out[0], v.out[1] = -1, -1
	if r := v.call(vdsoGettimeofday, v.outAddress(), 0); r != 0 {
		t.Fatalf("gettimeofday: %d", r)
	}
	sec, us = v.out[0], v.out[1]
	v.out[0] = -1
	if r := v.call(vdsoGettimeofday, 0, v.outAddress()); r != 0 || v.out[0] != 0 {
		t.Errorf("gettimeofday without a time: %d, zone %#x, want 0 and UTC", r, v.out[0])
	}
	return sec, us
}

// TestVDSOAsksTheKernel checks the clocks that are none of the TSC: the answer is that of the system call.
func TestVDSOAsksTheKernel(t *testing.T) {
	v := newVDSOCopy(t)
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	sec, ns := v.timespec(t, vdsoClockGettime, unix.CLOCK_PROCESS_CPUTIME_ID)
	if got := sec*billion + ns; got < ts.Nano() || got > ts.Nano()+int64(time.Minute) {
		t.Errorf("CPU time is %d ns, was %d", got, ts.Nano())
	}
	for _, function := range []int{vdsoClockGettime, vdsoClockGetres} {
		for _, clock := range []int{10, 12, 31, 32, 33, 64, 1 << 20, 0x7fffffff} {
			if r := v.call(function, uintptr(clock), v.outAddress()); r != -int64(unix.EINVAL) {
				t.Errorf("function %d, clock %d: %d, want -EINVAL", function, clock, r)
			}
		}
	}
	if _, ns := v.timespec(t, vdsoClockGetres, unix.CLOCK_THREAD_CPUTIME_ID); ns < 1 {
		t.Errorf("CPU time has a resolution of %d ns", ns)
	}
}

func TestVDSOResolution(t *testing.T) {
	v := newVDSOCopy(t)
	for clock, want := range map[int]int64{
		unix.CLOCK_REALTIME: 1, unix.CLOCK_MONOTONIC: 1, unix.CLOCK_BOOTTIME: 1,
		unix.CLOCK_REALTIME_COARSE: 4000000, unix.CLOCK_MONOTONIC_COARSE: 4000000,
	} {
		if sec, ns := v.timespec(t, vdsoClockGetres, clock); sec != 0 || ns != want {
			t.Errorf("clock %d: %d s %d ns, want %d ns", clock, sec, ns, want)
		}
		if r := v.call(vdsoClockGetres, uintptr(clock), 0); r != 0 {
			t.Errorf("clock %d without an address: %d", clock, r)
		}
	}
}

// TestVDSOWantsClocksThatAgree checks that programs get no clock that could go back from one CPU to the other.
func TestVDSOWantsClocksThatAgree(t *testing.T) {
	defer func(together bool, scale, cpus uint64) { tscTogether, fromKVM, cpuCount = together, scale, cpus }(tscTogether, fromKVM, cpuCount)
	for _, c := range []struct {
		together      bool
		fromKVM, cpus uint64
		want          bool
	}{
		{false, 0, 1, true}, {false, 0, 4, true},
		{false, 1 << 31, 1, true}, {false, 1 << 31, 2, false}, {true, 1 << 31, 2, true},
	} {
		tscTogether, fromKVM, cpuCount = c.together, c.fromKVM, c.cpus
		if _, _, _, ok := VDSO(); ok != c.want {
			t.Errorf("%+v: %v", c, ok)
		}
	}
}

// TestVDSOKeepsToItsData checks that the code works from the data before it and refers to nothing else: a copy elsewhere, with
// other data, tells other times.
func TestVDSOKeepsToItsData(t *testing.T) {
	for _, want := range []int64{7, 1 << 33} {
		v := newVDSOCopy(t)
		*v.data = vdsoData{wallOffset: want * billion} // no tick takes any time
		if got := v.call(vdsoTime, 0, 0); got != want {
			t.Errorf("time is %d, want %d", got, want)
		}
	}
	if end := unsafe.Sizeof(vdsoData{}); end > pageSize {
		t.Errorf("the data takes %d bytes", end)
	}
}

// TestClockNeverGoesBackWhereTSCsDiffer has the TSC go back, as it does from one CPU to another whose TSC is behind.
func TestClockNeverGoesBackWhereTSCsDiffer(t *testing.T) {
	defer func(scale, start, differ, latest uint64) {
		nsPerTick, tscStart, clocksDiffer, latestNS = scale, start, differ, latest
	}(nsPerTick, tscStart, clocksDiffer, latestNS)
	nsPerTick, tscStart, clocksDiffer, latestNS = 1<<32, rdtsc()-1<<41, 1, 0
	first := nowNS()
	tscStart += 1 << 40
	second := nowNS()
	if second < first {
		t.Errorf("%d ns, then %d", first, second)
	}
	tscStart -= 1 << 41
	if third := nowNS(); third < second+1<<40 {
		t.Errorf("%d ns, then %d: the clock hasn't gone on", second, third)
	}
}
