package vm

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"wick/test/programs"
	"wick/test/programs/peer"
)

// withGlobals returns the environment of a wick whose QEMU has other defaults: driver.property=value.
func withGlobals(t *testing.T, globals ...string) []string {
	t.Helper()
	return wrapQEMU(t, t.TempDir(), func(qemu string) string {
		return fmt.Sprintf("#!/bin/sh\ncase \" $* \" in\n*\" -kernel \"*) exec %s \"$@\"%s ;;\n*) exec %[1]s \"$@\" ;;\nesac\n", qemu, globalOptions(globals))
	})
}

// globalOptions are QEMU's options for that, each behind a space.
func globalOptions(globals []string) (options string) {
	for _, g := range globals {
		options += " -global " + g
	}
	return options
}

// TestInterruptsOfVirtio exchanges data with a machine whose virtio devices interrupt in each of the ways that there are:
// messages of their own for queues and configuration, fewer messages than those, one, the INTx line, and the line of a device
// without a bus. No interrupt may be lost.
func TestInterruptsOfVirtio(t *testing.T) {
	for _, c := range []struct {
		name          string
		machine       string
		cpus          int
		globals       []string
		card, console string // as the kernel tells of them
	}{
		{"messages", "pc", 1, nil, "PCI .*, 3 messages by MSI-X", "PCI .*, 2 messages by MSI-X"},
		{"messages-q35", "q35", 2, nil, "PCI .*, 3 messages by MSI-X", "PCI .*, 2 messages by MSI-X"},
		{"many", "pc", 2, []string{"virtio-serial-pci.vectors=8"}, "PCI .*, 3 messages by MSI-X", "PCI .*, 5 messages by MSI-X"},
		{"two", "q35", 1, []string{"virtio-net-pci.vectors=2"}, "PCI .*, 2 messages by MSI-X", "PCI .*, 2 messages by MSI-X"},
		{"one", "pc", 2, []string{"virtio-net-pci.vectors=1", "virtio-serial-pci.vectors=1"}, "PCI .*, 1 messages by MSI-X", "PCI .*, 1 messages by MSI-X"},
		{"line", "pc", 1, []string{"virtio-net-pci.vectors=0", "virtio-serial-pci.vectors=0"}, "PCI .*, INTx", "PCI .*, INTx"},
		{"line-q35", "q35", 2, []string{"virtio-net-pci.vectors=0", "virtio-serial-pci.vectors=0"}, "PCI .*, INTx", "PCI .*, INTx"},
		{"notified-by-ports-too", "q35", 2, []string{"virtio-net-pci.modern-pio-notify=on", "virtio-serial-pci.modern-pio-notify=on"},
			"PCI .*, 3 messages by MSI-X", "PCI .*, 2 messages by MSI-X"},
		{"mmio", "microvm", 2, nil, "MMIO", "MMIO"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := os.Environ()
			if c.globals != nil {
				env = withGlobals(t, c.globals...)
			}
			losesNone(t, func() *run {
				r := start(t, options{configuration: configuration{machine: c.machine, cpus: c.cpus, model: "default"},
					flags: []string{"-p", "0:7000"}, program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}, env: env})
				r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
				addr := r.port("7000/tcp")
				exchange(t, addr, 1<<20, 1)
				for i := range 50 {
					if err := peer.Download(addr, 100, uint64(i)); err != nil {
						t.Fatalf("connection %d of 50 in a row: %v", i+1, err)
					}
				}
				quit(t, r, addr)
				for _, want := range []string{"virtio: network card: " + c.card, "virtio: console: " + c.console} {
					if !regexp.MustCompile("(?m)^" + want + "$").MatchString(r.stderr.String()) {
						t.Errorf("the kernel doesn't tell %q\n%s", want, r.tail())
					}
				}
				return r
			})
		})
	}
}

// losesNone checks that the card of a machine that run makes has lost no interrupt. To the driver one is lost that has not come for a
// second, as when the host doesn't run the processor that would take it while another one looks. So there are three tries.
func losesNone(t *testing.T, run func() *run) {
	t.Helper()
	for try := 1; ; try++ {
		lost := regexp.MustCompile(`(?m)^e0: interrupts-lost.*`).FindString(run().stderr.String())
		// In a guest of an emulated guest a single access to a device can take as long as the driver waits for an interrupt.
		if lost == "" || programs.Built() {
			return
		}
		t.Logf("try %d: %s", try, lost)
		if try == 3 {
			t.Fatal("interrupts were lost in every try")
		}
	}
}

// TestLinkGoesAndComesBack: the machine learns that its cable is pulled out and put back, by each kind of interrupt, and goes on.
func TestLinkGoesAndComesBack(t *testing.T) {
	for _, c := range []struct {
		configuration
		globals []string
	}{
		{configuration{machine: "microvm", cpus: 1, model: "default"}, nil},
		{configuration{machine: "pc", cpus: 2, model: "default"}, nil},
		{configuration{machine: "q35", cpus: 1, model: "max"}, []string{"virtio-net-pci.vectors=0"}},
		{configuration{machine: "q35", cpus: 2, model: "default", nic: "e1000"}, nil},
	} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			env, socket := monitored(t, c.globals...)
			r := start(t, options{configuration: c.configuration, flags: []string{"-p", "0:7000"}, env: env,
				program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			addr := r.port("7000/tcp")
			exchange(t, addr, 64<<10, 1)
			m := connect(t, socket)
			for _, state := range []struct{ command, told string }{{"off", "net: eth0: link down"}, {"on", "net: eth0: link up"}} {
				m.human("set_link n0 " + state.command)
				r.awaitLine(r.stderr, state.told, func(line string) bool { return line == state.told })
			}
			exchange(t, addr, 64<<10, 2)
			quit(t, r, addr)
			if !strings.Contains(r.stderr.String(), "\ne0: link-changes 2\n") {
				t.Errorf("not two changes of the link\n%s", r.tail())
			}
		})
	}
}

// TestMissingCardIsTold: a program that is to have a network card is told of by the kernel if there is none; one that isn't, is not.
func TestMissingCardIsTold(t *testing.T) {
	t.Parallel()
	env := wrapQEMU(t, t.TempDir(), func(qemu string) string {
		return fmt.Sprintf("#!/bin/sh\nfor a; do\nshift\ncase $a in virtio-net-device,*) a=virtio-rng-device ;; esac\n"+
			"set -- \"$@\" \"$a\"\ndone\nexec %s \"$@\"\n", qemu)
	})
	const message = "wick: the machine has no network card that the kernel has a driver for\n"
	for card, missing := range map[string]bool{"virtio": true, "none": false} {
		c := plain
		c.nic = card
		r := start(t, options{configuration: c, quiet: true, program: cProgram(t, "places", programs.Musl), env: env})
		r.want(0)
		if got := r.stderr.String(); strings.Contains(got, message) != missing {
			t.Errorf("--nic %s: standard error %q", card, got)
		}
	}
}
