package vm

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/linuxguest"
	"wick/vmm"
	"wick/vmm/vsockhost"
)

// linuxMachine is a kind of machine that Linux runs in.
type linuxMachine struct {
	name    string
	args    []string
	device  string
	modules []string
	append  string
}

var linuxMachines = []linuxMachine{
	{"pc-1", []string{"-M", "pc", "-smp", "1"}, "vhost-user-vsock-pci", []string{"virtio_pci"}, ""},
	{"q35-2", []string{"-M", "q35", "-smp", "2"}, "vhost-user-vsock-pci", []string{"virtio_pci"}, ""},
	// Linux can't measure its clock there, under emulation.
	{"microvm-1", []string{"-M", "microvm", "-global", "virtio-mmio.force-legacy=false", "-smp", "1"},
		"vhost-user-vsock-device", []string{"virtio_mmio"}, " tsc_early_khz=1000000"},
}

// linuxGuest is Linux in a machine whose vsock device is ours.
type linuxGuest struct {
	vsockGuest
	console *output
	ended   chan struct{} // closed when QEMU has ended
}

// startLinux starts Linux with vsockserver. It ends with the test.
func startLinux(t *testing.T, m linuxMachine) *linuxGuest {
	t.Helper()
	wickPath(t) // for its say whether machines are started at all
	kernel, err := linuxguest.Fetch()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	initrd := filepath.Join(dir, "initrd")
	if err := kernel.Initrd(initrd, linuxguest.Contents{Modules: append(m.modules, "vmw_vsock_virtio_transport"), Program: goProgram(t, "vsockserver")}); err != nil {
		t.Fatal(err)
	}
	g := &linuxGuest{vsockGuest: vsockGuest{path: filepath.Join(dir, "v"), log: newOutput()}, console: newOutput(), ended: make(chan struct{})}
	host, err := vsockhost.New(vsockhost.Config{CID: 3, Path: g.path, Wait: runLimit,
		Log: func(line string) { fmt.Fprintln(g.log, line) }})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := vmm.VsockPair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	served := make(chan error, 1)
	go func() { served <- host.Serve(ours) }()

	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append(m.args,
		"-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg",
		"-object", "memory-backend-memfd,id=memory,share=on,size=256M", "-m", "256M", "-machine", "memory-backend=memory",
		"-kernel", kernel.Image, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1"+m.append,
		"-serial", "stdio", "-chardev", "socket,id=vsock,fd=3", "-device", m.device+",chardev=vsock")...)
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	cmd.Stdout, cmd.Stderr = g.console, g.console
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal comes when the thread ends
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // it is killed
			g.console.end()
			close(g.ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-g.ended
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		g.log.end()
		if t.Failed() {
			t.Logf("the console:\n%s\nthe host's log:\n%s", g.console, g.log)
		}
	})
	return g
}

// awaitReady waits until the program serves its ports, after so many starts of the machine.
func (g *linuxGuest) awaitReady(t *testing.T, starts int) {
	t.Helper()
	if _, ok := g.console.awaitLine(func(line string) bool {
		if strings.HasSuffix(line, "vsockserver: ready, CID 3") {
			starts--
		}
		return starts == 0
	}); !ok {
		t.Fatal("Linux ended before its program was ready")
	}
}

// TestVsockLinux tests the host's device with the drivers of Linux.
func TestVsockLinux(t *testing.T) {
	for _, m := range linuxMachines {
		t.Run(m.name, func(t *testing.T) {
			g := startLinux(t, m)
			// Before the guest has begun to boot: --vsock-wait.
			c, _ := g.mustConnect(t, 1)
			c.Close()
			g.awaitReady(t, 1)
			for _, c := range vsockCases {
				t.Run(c.name, func(t *testing.T) {
					start := time.Now()
					c.run(t, &g.vsockGuest)
					t.Log(time.Since(start))
				})
			}
			t.Run("reboot", func(t *testing.T) { testReboot(t, g) })
		})
	}
}

// testReboot: connections end when the guest is started again, and new ones work.
func testReboot(t *testing.T, g *linuxGuest) {
	old, r := g.mustConnect(t, 1)
	defer old.Close()
	old.Write([]byte("x\n"))
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	c, _ := g.mustConnect(t, 4)
	defer c.Close()
	c.Write([]byte("reboot\n"))
	if b, err := r.ReadByte(); err != io.EOF {
		t.Errorf("read %d, %v", b, err)
	}
	g.awaitReady(t, 2)
	again, r := g.mustConnect(t, 1)
	defer again.Close()
	again.Write([]byte("y\n"))
	if got, err := r.ReadString('\n'); got != "y\n" || err != nil {
		t.Errorf("after the reboot: %q, %v", got, err)
	}
}
