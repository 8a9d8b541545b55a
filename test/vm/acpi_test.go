package vm

import (
	"fmt"
	"strings"
	"testing"

	"wick/test/programs/peer"
)

// TestDevicesAnnouncedByACPI: wick has microvm announce its devices on the kernel's command line, and its CPUs in an MP table. With
// ACPI, as Firecracker has it too, the DSDT and the MADT tell of them, and interrupts come by a second I/O APIC.
func TestDevicesAnnouncedByACPI(t *testing.T) {
	env := wrapQEMU(t, t.TempDir(), func(qemu string) string {
		return fmt.Sprintf(`#!/bin/sh
for a; do
	shift
	case "$a" in microvm,acpi=off) a=microvm,acpi=on,auto-kernel-cmdline=off ;; esac
	set -- "$@" "$a"
done
exec %s "$@"
`, qemu)
	})
	for _, c := range []configuration{{machine: "microvm", cpus: 1, model: "max"}, {machine: "microvm", cpus: 2, model: "default"}} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			losesNone(t, func() *run {
				r := start(t, options{configuration: c, flags: []string{"-p", "0:7000"}, program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}, env: env})
				r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
				addr := r.port("7000/tcp")
				exchange(t, addr, 64<<10, 1)
				for i := range 20 {
					if err := peer.Download(addr, 100, uint64(i)); err != nil {
						t.Fatalf("connection %d of 20 in a row: %v", i+1, err)
					}
				}
				quit(t, r, addr)
				for _, want := range []string{"virtio: network card: MMIO", "virtio: console: MMIO", "virtio: entropy source: MMIO"} {
					if !strings.Contains(r.stderr.String(), want) {
						t.Errorf("the kernel doesn't tell %q\n%s", want, r.tail())
					}
				}
				return r
			})
		})
	}
}
