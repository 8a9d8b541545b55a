package vmm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFindQEMUSaysHowToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := FindQEMU(); err == nil || !strings.Contains(err.Error(), "install") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	t.Setenv(EnvQEMU, "/nonexistent/qemu")
	if _, err := FindQEMU(); err == nil || !strings.Contains(err.Error(), EnvQEMU+"=/nonexistent/qemu") {
		t.Errorf("got %v", err)
	}
	other := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(other, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(EnvQEMU, other)
	if got, err := FindQEMU(); err != nil || got != other {
		t.Errorf("got %s, %v, want %s", got, err, other)
	}
}

// realQEMU returns the QEMU of this host; tests that need one are skipped where there is none.
func realQEMU(t *testing.T) string {
	t.Helper()
	path, err := FindQEMU()
	if err != nil {
		t.Skip(err)
	}
	return path
}

func TestQEMUAnswers(t *testing.T) {
	qemu := realQEMU(t)
	if v, err := QEMUVersion(qemu); err != nil || v == "" || v[0] < '0' || v[0] > '9' {
		t.Errorf("version: got %q, %v", v, err)
	}
	for _, q := range []struct {
		list func(string) ([]string, error)
		want string
	}{{QEMUMachines, "pc"}, {QEMUMachines, "q35"}, {QEMUAccelerators, "tcg"}, {QEMUNetdevs, "user"}} {
		if list, err := q.list(qemu); err != nil || !slices.Contains(list, q.want) {
			t.Errorf("got %v, %v, which lacks %s", list, err, q.want)
		}
	}
	for device, want := range map[string]bool{"e1000": true, "virtio-net-pci": true, "nosuch": false} {
		if got, err := QEMUHasDevice(qemu, device); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", device, got, err, want)
		}
	}
}

// haltingPVH is a 32-bit ELF file that halts, with the note by which QEMU finds its entry
// (XEN_ELFNOTE_PHYS32_ENTRY, docs/misc/pvh.pandoc of Xen).
func haltingPVH() []byte {
	const at, codeAt = 0x100000, 52 + 2*32 + 20
	var b bytes.Buffer
	le := binary.LittleEndian
	binary.Write(&b, le, elf.Header32{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), 1},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_386), Version: 1,
		Entry: at + codeAt, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 2,
	})
	binary.Write(&b, le, elf.Prog32{Type: uint32(elf.PT_LOAD), Flags: 7, Vaddr: at, Paddr: at, Filesz: codeAt + 4, Memsz: codeAt + 4, Align: 4096})
	binary.Write(&b, le, elf.Prog32{Type: uint32(elf.PT_NOTE), Off: 52 + 2*32, Vaddr: at, Paddr: at, Filesz: 20, Memsz: 20, Align: 4})
	binary.Write(&b, le, []uint32{4, 4, 18, 'X' | 'e'<<8 | 'n'<<16, at + codeAt}) // name and content: 4 bytes each
	b.Write([]byte{0xfa, 0xf4, 0xeb, 0xfd})                                       // cli; 1: hlt; jmp 1b
	return b.Bytes()
}

// tinyKernel is haltingPVH as a file.
func tinyKernel(t *testing.T) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(path, haltingPVH(), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestRealQEMUTakesTheCommandLine starts real QEMU with everything that a command line can have
// and a kernel that does nothing, and asks it for the ports that it picked.
func TestRealQEMUTakesTheCommandLine(t *testing.T) {
	qemu := realQEMU(t)
	for _, machine := range MachineTypes {
		for _, debugged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, debugger %v", machine, debugged), func(t *testing.T) {
				m := testMachine()
				m.Type, m.CPUModel, m.CPUs, m.NIC = machine, "max", 2, NICs[0]
				m.Kernel, m.Bundle = tinyKernel(t), tinyKernel(t)
				var debugger uint16
				if debugged {
					var err error
					if m.GDB, debugger, err = ListenGDB(0); err != nil {
						t.Fatal(err)
					}
					defer m.GDB.Close()
				}
				if m.NIC == NoNIC {
					checkStarts(t, qemu, m)
					return
				}
				pcap, err := os.Create(filepath.Join(t.TempDir(), "pcap"))
				if err != nil {
					t.Fatal(err)
				}
				defer pcap.Close()
				m.Pcap = pcap
				m.Forwards = []Forward{{Addr: loopback, Guest: 80}, {Addr: loopback, Guest: 80}, {UDP: true, Addr: loopback, Guest: 80}}
				checkRealQEMU(t, qemu, m, debugger)
			})
		}
	}
}

// checkStarts checks that QEMU gets as far as to answer.
func checkStarts(t *testing.T, qemu string, m *Machine) {
	vm, err := Start(qemu, m, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = vm.monitor.Human("info status")
	vm.Kill()
	if ending := vm.Wait(); err != nil {
		t.Errorf("%v; QEMU: %s; %s", err, ending, vm.Messages())
	}
}

// checkRealQEMU checks what QEMU does with all that m has. debugger is the port of m.GDB.
func checkRealQEMU(t *testing.T, qemu string, m *Machine, debugger uint16) {
	vm, err := Start(qemu, m, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		vm.Kill()
		vm.Wait()
	}()
	forwards, err := vm.Forwards()
	if err != nil {
		vm.Kill()
		t.Fatalf("%v; QEMU: %s; %s", err, vm.Wait(), vm.Messages())
	}
	if forwards[0].Host == forwards[1].Host {
		t.Errorf("two forwards have the same port: %v", forwards)
	}
	for _, f := range forwards {
		if err := CheckForwards([]Forward{f}); err == nil {
			t.Errorf("QEMU says it has %v, and it is free", f)
		}
	}
	checkBacklog(t, vm, forwards[0])
	if m.GDB != nil {
		checkDebugger(t, debugger)
	}
	if again, err := vm.Forwards(); err != nil || !slices.Equal(again, forwards) {
		t.Errorf("second answer: %v, %v, want %v", again, err, forwards)
	}
	if info, err := m.Pcap.Stat(); err != nil || info.Size() < 24 { // pcap-savefile(5): the header
		t.Errorf("capture: %v, %v", info, err)
	}
}

// checkDebugger checks that QEMU answers a debugger's question for why the machine stands still, by an acknowledgement first
// (Debugging with GDB, appendix E).
func checkDebugger(t *testing.T, port uint16) {
	t.Helper()
	c, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		t.Errorf("debugger's port: %v", err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	answer := make([]byte, 2)
	if _, err := io.WriteString(c, "$?#3f"); err != nil {
		t.Errorf("asking as a debugger: %v", err)
	} else if _, err := io.ReadFull(c, answer); string(answer) != "+$" {
		t.Errorf("the answer to a debugger: %q, %v", answer, err)
	}
}

// checkBacklog checks that connections wait at f while QEMU accepts none.
func checkBacklog(t *testing.T, vm *VM, f Forward) {
	t.Helper()
	if err := vm.Listen(); errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Logf("backlog: this system doesn't permit it: %v", err)
		return
	} else if err != nil {
		t.Errorf("backlog: %v", err)
		return
	}
	vm.Pause()
	defer vm.Resume()
	for i := range 20 {
		c, err := net.DialTimeout("tcp4", f.HostAddr().String(), 10*time.Second)
		if err != nil {
			t.Errorf("connection %d to %v in a burst: %v", i, f, err)
			return
		}
		defer c.Close()
	}
}
