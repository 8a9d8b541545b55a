package vm

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

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
	*process // QEMU
}

// startLinux starts Linux with a program. It ends with the test.
func startLinux(t *testing.T, m linuxMachine, program string, args ...string) *linuxGuest {
	t.Helper()
	wickPath(t) // for its say whether machines are started at all
	kernel, err := linuxguest.Fetch()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	initrd := filepath.Join(dir, "initrd")
	contents := linuxguest.Contents{Modules: append(m.modules, "vmw_vsock_virtio_transport"), Program: program, Args: args}
	if err := kernel.Initrd(initrd, contents); err != nil {
		t.Fatal(err)
	}
	g := &linuxGuest{vsockGuest: vsockGuest{path: filepath.Join(dir, "v"), log: newOutput()}}
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
	go func() {
		served <- host.Serve(ours)
		host.Close()
	}()

	// One thread for all CPUs: with one each QEMU 7.2 keeps the old translation of code that one CPU patches, as Linux does with
	// its own, while another is having it translated, and then both take breakpoints for ever.
	g.process = spawn(t, []*os.File{theirs}, "qemu-system-x86_64", append(m.args,
		"-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,thread=single",
		"-object", "memory-backend-memfd,id=memory,share=on,size=256M", "-m", "256M", "-machine", "memory-backend=memory",
		"-kernel", kernel.Image, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1"+m.append,
		"-serial", "stdio", "-chardev", "socket,id=vsock,fd=3", "-device", m.device+",chardev=vsock")...)
	t.Cleanup(func() {
		g.stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		g.log.end()
		if t.Failed() {
			t.Logf("the host's log:\n%s", g.log)
		}
	})
	return g
}

// TestVsockLinux tests the host's device with the drivers of Linux.
func TestVsockLinux(t *testing.T) {
	for _, m := range linuxMachines {
		t.Run(m.name, func(t *testing.T) {
			g := startLinux(t, m, goProgram(t, "vsockserver"))
			// Before the guest has begun to boot: --vsock-wait.
			c, _ := g.mustConnect(t, 1)
			c.Close()
			g.awaitReady(t, 3, 1)
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
	g.awaitReady(t, 3, 2)
	again, r := g.mustConnect(t, 1)
	defer again.Close()
	again.Write([]byte("y\n"))
	if got, err := r.ReadString('\n'); got != "y\n" || err != nil {
		t.Errorf("after the reboot: %q, %v", got, err)
	}
}

// TestVsockSocat: a program in C, that knows nothing of us, listens in Linux and connects to the host for each connection that it gets.
func TestVsockSocat(t *testing.T) {
	wickPath(t)
	socat, err := exec.LookPath("socat")
	if err != nil {
		t.Fatal(err)
	}
	g := startLinux(t, linuxMachines[0], socat, "-t", "60", "VSOCK-LISTEN:7,fork", "VSOCK-CONNECT:2:24")
	g.listen(t, 24, hostEcho)
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			c, r, err := g.connect(7) // waits for it to listen
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			defer c.Close()
			want := bytePattern(1<<20 + i)
			go func() {
				c.Write(want)
				c.CloseWrite()
			}()
			if got, err := io.ReadAll(r); !bytes.Equal(got, want) || err != nil {
				t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	work.Wait()
}
