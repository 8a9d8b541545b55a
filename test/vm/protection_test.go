package vm

import (
	"fmt"
	"io"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"wick/test/programs"
)

// onePerModel are the machines for what depends on the model of the CPU only.
var onePerModel = []configuration{{machine: "pc", cpus: 1, model: "default"}, {machine: "microvm", cpus: 2, model: "max"}}

// page is a page of the tables that a CPU has loaded.
type page struct {
	va, pa            uint64
	run, write, user  bool
	directMap, kernel bool
}

// Parts of the kernel's address space, as kernel/ground has them.
const (
	directStart = 0xffff800000000000
	directEnd   = directStart + 1<<46
	stacksStart = 0xffffc00000000000 + 511<<30
	stacksEnd   = 0xffffc00000000000 + 512<<30
)

// pages reads the page tables by QEMU's own walk of them: lines of address, physical address, and flags in fixed places.
func (m *monitor) pages() []page {
	m.t.Helper()
	line := regexp.MustCompile(`^([0-9a-f]{16}): ([0-9a-f]{16}) ([X-])[G-][P-][D-][A-][C-][T-]([U-])([W-])$`)
	var all []page
	for _, text := range lines(m.human("info tlb")) {
		f := line.FindStringSubmatch(strings.TrimSpace(text))
		if f == nil {
			m.t.Fatalf("info tlb: %q", text)
		}
		va, _ := strconv.ParseUint(f[1], 16, 64)
		pa, _ := strconv.ParseUint(f[2], 16, 64)
		all = append(all, page{va: va, pa: pa, run: f[3] == "-", user: f[4] == "U", write: f[5] == "W",
			directMap: va >= directStart && va < directEnd, kernel: va>>63 == 1})
	}
	return all
}

// startIdle starts a program that does nothing in a machine with a monitor.
func startIdle(t *testing.T, c configuration) *monitor {
	t.Helper()
	wickPath(t)
	env, socket := monitored(t)
	r := start(t, options{configuration: c, program: goProgram(t, "stdio"), args: []string{"sleep"}, env: env})
	r.awaitLine(r.stdout, "it was ready", func(line string) bool { return line == "ready" })
	return connect(t, socket)
}

// TestLivePages looks at the page tables of a machine that runs a program: the kernel is writable or executable, never both,
// by no way at all; programs can't reach it; there are gaps between the stacks of ground.
func TestLivePages(t *testing.T) {
	for _, c := range onePerModel {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			all := startIdle(t, c).pages()
			text, users := map[uint64]bool{}, 0
			for _, p := range all {
				if p.user {
					users++
				}
				if p.user == p.kernel {
					t.Errorf("page %#x: for user mode: %v", p.va, p.user)
				}
				if p.run && p.write {
					t.Errorf("page %#x is writable and executable", p.va)
				}
				if p.kernel && p.run {
					text[p.pa] = true
				}
			}
			if len(text) < 100 || len(text) > 4096 || users < 10 {
				t.Errorf("%d pages of the kernel and %d of the program are executable or the program's", len(text), users)
			}
			large := 0
			for _, p := range all {
				if p.directMap && p.pa < 1<<32 {
					large++
				}
				if p.write && text[p.pa] {
					t.Errorf("page %#x is a way to write executable code at %#x", p.va, p.pa)
				}
			}
			if large < 2048 {
				t.Errorf("%d pages in the direct map, want 2048 or more", large)
			}
			checkStacks(t, c, all)
		})
	}
}

// checkStacks checks that the stacks of the CPUs are as many as they should be, with unmapped pages between them.
func checkStacks(t *testing.T, c configuration, all []page) {
	const stacks, largest = 7, 32 << 10
	runs, size, last := 0, uint64(0), uint64(0)
	for _, p := range all {
		if p.va < stacksStart || p.va >= stacksEnd {
			continue
		}
		if p.va != last+4096 {
			runs++
			size = 0
		}
		size += 4096
		if size > largest {
			t.Errorf("no gap before %#x", p.va)
		}
		last = p.va
	}
	if runs != stacks*c.cpus {
		t.Errorf("%d stacks in %d CPUs, want %d each", runs, c.cpus, stacks)
	}
}

// TestControlRegisters checks that every CPU has what it can do for protection turned on, and a CPU that can't isn't told to.
func TestControlRegisters(t *testing.T) {
	const (
		osxsave = 1 << 18
		able    = 1<<20 | 1<<21 | 1<<11 // SMEP SMAP UMIP
		wp      = 1 << 16
	)
	for _, c := range onePerModel {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			text := startIdle(t, c).human("info registers -a")
			found := regexp.MustCompile(`CR0=([0-9a-f]{8}) CR2=[0-9a-f]+ CR3=[0-9a-f]+ CR4=([0-9a-f]{8})`).FindAllStringSubmatch(text, -1)
			if len(found) != c.cpus {
				t.Fatalf("registers of %d CPUs\n%s", len(found), text)
			}
			for i, f := range found {
				cr0, _ := strconv.ParseUint(f[1], 16, 64)
				cr4, _ := strconv.ParseUint(f[2], 16, 64)
				want := uint64(0)
				if c.model == "max" {
					want = able
				}
				if cr0&wp == 0 || cr4&able != want || want == 0 && cr4&osxsave != 0 {
					t.Errorf("CPU %d: CR0 %#x, CR4 %#x", i, cr0, cr4)
				}
			}
		})
	}
}

// TestNMI sends the machine non-maskable interrupts, one after the other, while a program goes in and out of the kernel in
// every way. Nothing must come of them but a few lines.
func TestNMI(t *testing.T) {
	for _, c := range onePerModel {
		for _, name := range []string{"hostile", "xstate"} {
			t.Run(c.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				wickPath(t)
				env, socket := monitored(t)
				s := programs.Find("c-" + name)
				path := suiteProgram(t, s, programs.Glibc)
				names := cases(t, s, path, false)
				r := start(t, options{configuration: c, program: path, args: names, env: env})
				r.awaitLine(r.stdout, "a case had passed", func(line string) bool { return strings.HasPrefix(line, "ok ") })
				m, sent := connect(t, socket), 0
				for {
					if _, ok := m.do("inject-nmi", nil); !ok {
						break
					}
					sent++
				}
				r.want(0)
				if passed := strings.Count("\n"+r.stdout.String(), "\nok "); passed != len(names) {
					t.Errorf("%d of %d cases passed\n%s", passed, len(names), r.tail())
				}
				wantAll(t, r.stderr.String(), "wick: report: non-maskable interrupt\n", fmt.Sprintf("\ncpu %d: ", c.cpus-1))
				if sent < 20 {
					t.Errorf("only %d were sent", sent)
				}
				t.Logf("%d sent", sent)
			})
		}
	}
}

// TestDebugExceptionInKernel has the CPU step while it is in the kernel, as nothing but a debugger can. The kernel tells, and
// goes on.
func TestDebugExceptionInKernel(t *testing.T) {
	const trap = 1 << 8
	wickPath(t)
	env, socket := monitored(t)
	in, out := io.Pipe()
	r := start(t, options{configuration: plain, program: goProgram(t, "stdio"), args: []string{"cat"}, env: env, stdin: in})
	t.Cleanup(func() { out.Close() })
	echo := func(line string) {
		if _, err := io.WriteString(out, line+"\n"); err != nil {
			t.Fatal(err)
		}
		r.awaitLine(r.stdout, "it echoed", func(got string) bool { return got == line })
	}
	echo("before")
	for i := range 5 {
		d := debug(t, socket)
		for d.register(debugRIP)>>63 == 0 || d.loadsFlags() { // the program is about to wait for input, and the CPU to be idle
			d.release()
			d = debug(t, socket)
		}
		flags := d.register(debugRFLAGS) | trap
		if got := d.do(fmt.Sprintf("P%x=%08x", debugRFLAGS, bits.ReverseBytes32(uint32(flags)))); got != "OK" {
			t.Fatalf("QEMU says %q", got)
		}
		d.release()
		echo(fmt.Sprint("after ", i))
		n := 0
		r.awaitLine(r.stderr, "it told of the exception", func(line string) bool { // a CPU that idles takes it when it goes on
			if strings.HasPrefix(line, "wick: debug exception in the kernel: cpu 0") {
				n++
			}
			return n > i
		})
	}
	out.Close()
	r.want(0)
	if n := strings.Count(r.stderr.String(), "debug exception in the kernel: cpu 0"); n != 5 {
		t.Errorf("%d reports, want 5\n%s", n, r.tail())
	}
}
