package vmm

import (
	"net/netip"
	"os"
	"strings"
	"testing"
)

func testMachine() *Machine {
	return &Machine{Type: "pc", Accel: TCG, CPUs: 1, Memory: 128 << 20, NIC: "e1000"}
}

// TestGoldenCommandLines has QEMU's command lines in full: whoever changes one should see it.
func TestGoldenCommandLines(t *testing.T) {
	full := testMachine()
	full.Type, full.CPUModel, full.CPUs, full.Memory = "q35", "max", 2, 100<<20+1<<10
	full.Pcap, full.Vsock, full.GDB = os.Stdout, os.Stdout, os.Stdout
	full.Forwards = []Forward{
		{UDP: true, Addr: loopback, Host: 20000, Guest: 7},
		{Addr: netip.MustParseAddr("0.0.0.0"), Host: 0, Guest: 80},
	}
	small := testMachine()
	small.Type, small.Accel, small.NIC, small.Vsock = "microvm", KVM, "virtio", os.Stdout
	bare := testMachine()
	bare.NIC, bare.SerialLink = NoNIC, true
	card := testMachine()
	card.NIC = "virtio"
	const start = "-nodefaults -no-user-config -no-reboot -display none "
	const boot = "-kernel /proc/self/fd/5 -initrd /proc/self/fd/6 " +
		"-chardev socket,id=boot,fd=3 -serial chardev:boot -chardev stdio,id=link,signal=off "
	const port = ",max_ports=2 -device virtserialport,chardev=link,name=wick.link "
	const rng = "-device virtio-rng-pci,disable-legacy=on "
	const monitor = "-chardev socket,id=monitor,fd=4 -mon chardev=monitor,mode=control"
	const files = boot + "-device virtio-serial-pci,disable-legacy=on" + port + monitor
	tests := []struct{ name, got, want string }{
		{"default", strings.Join(testMachine().Args(), " "), start +
			"-M pc -accel tcg -smp 1 -m 128M " +
			"-device isa-debug-exit,iobase=0xf4,iosize=0x04 " + rng +
			"-device e1000,netdev=n0,mac=52:54:00:12:34:56,romfile= " +
			"-netdev user,id=n0 " + files},
		{"everything", strings.Join(full.Args(), " "), start +
			"-M q35 -accel tcg -cpu max -smp 2 -m 102401k " +
			"-device isa-debug-exit,iobase=0xf4,iosize=0x04 " + rng +
			"-device e1000,netdev=n0,mac=52:54:00:12:34:56,romfile= " +
			"-netdev user,id=n0,hostfwd=udp:127.0.0.1:20000-:7,hostfwd=tcp:0.0.0.0:0-:80 " + files +
			" -object filter-dump,id=pcap,netdev=n0,file=/proc/self/fd/7 " +
			"-object memory-backend-memfd,id=memory,share=on,size=102401k -machine memory-backend=memory " +
			"-chardev socket,id=vsock,fd=8 -device vhost-user-vsock-pci,chardev=vsock " +
			"-chardev socket,id=gdb,server=on,wait=off,nodelay=on,fd=9 -gdb chardev:gdb -S"},
		{"by hand", strings.Join(testMachine().ByHand("k.img", "i.img"), " "), start +
			"-M pc -accel tcg -smp 1 -m 128M " +
			"-device isa-debug-exit,iobase=0xf4,iosize=0x04 " + rng +
			"-device e1000,netdev=n0,mac=52:54:00:12:34:56,romfile= " +
			"-netdev user,id=n0 -kernel k.img -initrd i.img -serial stdio"},
		{"virtio", strings.Join(card.Args(), " "), start +
			"-M pc -accel tcg -smp 1 -m 128M " +
			"-device isa-debug-exit,iobase=0xf4,iosize=0x04 " + rng +
			"-device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56,romfile=,disable-legacy=on " +
			"-netdev user,id=n0 " + files},
		{"no card, serial link", strings.Join(bare.Args(), " "), start +
			"-M pc -accel tcg -smp 1 -m 128M " +
			"-device isa-debug-exit,iobase=0xf4,iosize=0x04 " + boot + "-device isa-serial,chardev=link,index=1 " + monitor},
		{"microvm", strings.Join(small.Args(), " "), start +
			"-M microvm,acpi=off -global virtio-mmio.force-legacy=false -accel kvm -cpu host -smp 1 -m 128M " +
			"-device isa-debug-exit,iobase=0xf4,iosize=0x04 -device virtio-rng-device " +
			"-device virtio-net-device,netdev=n0,mac=52:54:00:12:34:56 -netdev user,id=n0 " +
			boot + "-device virtio-serial-device" + port + monitor +
			" -object memory-backend-memfd,id=memory,share=on,size=128M -machine memory-backend=memory " +
			"-chardev socket,id=vsock,fd=8 -device vhost-user-vsock-device,chardev=vsock"},
	}
	small.ACPI = true
	if got := strings.Join(small.Args(), " "); !strings.Contains(got, " -M microvm -global virtio-mmio.force-legacy=false ") {
		t.Errorf("microvm with ACPI: %s", got)
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
}
