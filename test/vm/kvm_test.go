package vm

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/linuxguest"
	"wick/test/programs"
	"wick/vmm"
)

// acceleration returns what is to execute the machines' instructions: QEMU's emulation, unless WICK_ACCEL says otherwise.
func acceleration() string {
	if a := os.Getenv("WICK_ACCEL"); a != "" {
		return a
	}
	return vmm.TCG
}

// kvmLimit bounds the tests with KVM, and kvmNestedLimit those in a guest that is itself emulated.
const (
	kvmLimit       = 5 * time.Minute
	kvmNestedLimit = 20 * time.Minute
)

// quick are the machines and programs of the tests with KVM: few enough for a guest that is emulated, and none that measures
// CPU time, of which such a guest's guests have an odd idea.
var quick = []struct {
	configuration
	programs []string
}{
	{configuration{machine: "microvm", cpus: 1, model: "default"}, []string{"threads", "c-fp", "c-xstate", "system"}},
	{configuration{machine: "microvm", cpus: 2, model: "max"}, []string{"c-pthreads", "memory"}},
	{configuration{machine: "pc", cpus: 1, model: "default"}, []string{"c-signals"}}, // its firmware takes long there, as that of q35
	{configuration{machine: "q35", cpus: 1, model: "max"}, nil},
}

// quickLibc is what the C programs of the tests with KVM are linked with.
const quickLibc = programs.GlibcPIE

// TestQuick is what is tested with KVM. TestKVM runs it, where KVM can be used.
func TestQuick(t *testing.T) {
	if acceleration() != vmm.KVM {
		t.Skip("WICK_ACCEL=kvm and make test-kvm run this")
	}
	// KVM offers all of this on every processor.
	wants := []string{"kernel: uses the x2APIC", "kernel: uses the TSC deadline timer", "kernel: uses the KVM clock", "kernel: 32 bytes of entropy from the host"}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(info), " avx ") {
		wants = append(wants, "kernel: uses the AVX registers")
	}
	for _, q := range quick {
		t.Run("hardware/"+q.String(), func(t *testing.T) {
			r := start(t, options{configuration: q.configuration, program: cProgram(t, "places", quickLibc)})
			r.want(0)
			for _, want := range wants {
				if !strings.Contains(r.stderr.String(), want) {
					t.Errorf("not told: %q\n%s", want, r.tail())
				}
			}
		})
	}
	for _, q := range quick {
		for _, name := range q.programs {
			t.Run(q.String()+"/"+name, func(t *testing.T) {
				begin := time.Now()
				runSuite(t, q.configuration, programs.Find(name), quickLibc, false)
				t.Log(time.Since(begin).Round(time.Millisecond))
			})
		}
	}
}

// kvmTests are the tests that run with KVM: of the interrupts of virtio one of each kind.
const kvmTests = "^(TestQuick|TestInterruptsOfVirtio|TestOffloads)$/^(hardware|microvm.*|pc.*|q35.*|messages|mmio)$"

// TestKVM runs some of the tests with KVM, or those that WICK_KVM_TESTS names: on this host, if it can be used here, else in a Linux guest whose emulated
// processor has virtualization.
func TestKVM(t *testing.T) {
	if os.Getenv("WICK_KVM") != "1" {
		t.Skip("KVM is tested with WICK_KVM=1 only, as make test-kvm does")
	}
	wickPath(t)
	tests := kvmTests
	if others := os.Getenv("WICK_KVM_TESTS"); others != "" {
		tests = others
	}
	if err := vmm.CheckKVM(); err != nil {
		t.Logf("in a guest that is emulated, because KVM can't be used here: %v", err)
		nestedKVM(t, tests)
		return
	}
	directKVM(t, tests)
	if tests == kvmTests {
		nestedKVM(t, offloadTests)
	}
}

// kvmArguments and kvmEnvironment are what this program runs tests with KVM with.
func kvmArguments(tests string, limit time.Duration) []string {
	return []string{"-test.run", tests, "-test.v", "-test.parallel", "1", "-test.count", "1", "-test.timeout", limit.String()}
}

var kvmEnvironment = []string{"WICK_VM=1", "WICK_KVM=0", "WICK_ACCEL=kvm"}

// directKVM runs this program on this host.
func directKVM(t *testing.T, tests string) {
	ctx, cancel := context.WithTimeout(context.Background(), kvmLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], kvmArguments(tests, kvmLimit)...)
	cmd.Env = append(os.Environ(), kvmEnvironment...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = killDelay
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

// nestedCPU is a processor that QEMU emulates with virtualization, AMD's.
const nestedCPU = "max"

// nestedKVM runs this program in a Linux guest. It has one processor: Linux patches code that runs by means of breakpoints, its scheduler's
// too when machines come and go, and QEMU before 8.1 (commit deba78709ae8) may translate a breakpoint for one processor at the
// moment in which another takes it back. Then the processors stay in it for ever, though it isn't in memory any more.
func nestedKVM(t *testing.T, tests string) {
	kernel, err := linuxguest.Fetch()
	if err != nil {
		t.Fatal(err)
	}
	initrd := filepath.Join(t.TempDir(), "initrd")
	c := linuxguest.Contents{
		Modules: []string{"kvm_amd", "tun"},
		Program: staticTests(t),
		Args:    kvmArguments(tests, kvmNestedLimit),
		Env:     append(kvmEnvironment, programs.EnvBuilt+"=1", "PATH=/usr/bin:/bin", "HOME=/", "TMPDIR=/tmp"),
		Dir:     "/wick/test/vm",
		Files:   kvmFiles(t),
	}
	if err := kernel.Initrd(initrd, c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), kvmNestedLimit)
	defer cancel()
	console := newOutput()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-M", "q35", "-accel", "tcg", "-cpu", nestedCPU, "-smp", "1", "-m", "1280M",
		"-kernel", kernel.Image, "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check", "-serial", "stdio")
	cmd.Stdout, cmd.Stderr = io.MultiWriter(console, os.Stdout), os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread ends
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		t.Fatalf("stopped: it took more than %v", kvmNestedLimit)
	case err != nil:
		t.Fatal(err)
	}
	console.end()
	if _, ok := console.awaitLine(func(line string) bool { return line == "init: program ended" }); !ok {
		t.Error("the tests in the guest have failed")
	}
}

// staticTests builds this program so that it needs no files.
func staticTests(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vm.test")
	cmd := exec.Command("go", "test", "-c", "-o", path, "-ldflags", "-s -w", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return path
}

// kvmFiles are the files that the tests need in the guest: wick, the programs, QEMU with its libraries and firmware, and a
// shell.
func kvmFiles(t *testing.T) map[string]string {
	t.Helper()
	root := programs.Root()
	files := map[string]string{"wick/go.mod": filepath.Join(root, "go.mod"), "wick/bin/wick": wickPath(t)}
	add := func(path string) { files["wick/out/test/programs/"+filepath.Base(path)] = path }
	add(goProgram(t, "tcp"))
	add(goProgram(t, "netif"))
	add(cProgram(t, "places", quickLibc))
	for _, q := range quick {
		for _, name := range q.programs {
			add(suiteProgram(t, programs.Find(name), quickLibc))
		}
	}
	for _, name := range []string{"qemu-system-x86_64", "sh"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		files["usr/bin/"+name] = path
		if err := linuxguest.AddLibraries(files, path); err != nil {
			t.Fatal(err)
		}
	}
	files["bin/sh"] = files["usr/bin/sh"]
	const qemu, other = "usr/bin/qemu-system-x86_64", "usr/bin/qemu"
	files[other] = files[qemu]
	files["usr/bin/xcr0"] = goProgram(t, "/test/linuxguest/xcr0")
	files[qemu] = filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(files[qemu], []byte("#!/bin/sh\nexec xcr0 /"+other+" \"$@\"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bios-256k.bin", "bios-microvm.bin", "qboot.rom", "pvh.bin", "linuxboot_dma.bin", "kvmvapic.bin"} {
		for _, dir := range []string{"usr/share/qemu/", "usr/share/seabios/"} {
			if _, err := os.Stat("/" + dir + name); err == nil {
				files[dir+name] = "/" + dir + name
			}
		}
	}
	return files
}
