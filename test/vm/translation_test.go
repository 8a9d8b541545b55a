package vm

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestKernelIsTranslatedOnce: QEMU translates a block of code once for each state of the processor that the block may depend on. That
// takes most of the time of a start, so the kernel always runs its code in the same state. (Not so on processors with AVX, which it
// turns on when Go has looked for it: see kernel/ground/state.go.)
func TestKernelIsTranslatedOnce(t *testing.T) {
	for _, c := range []configuration{
		{machine: "pc", cpus: 1, model: "default"}, {machine: "microvm", cpus: 2, model: "default"}, {machine: "q35", cpus: 1, model: "default", nic: "e1000"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			log := filepath.Join(dir, "blocks")
			r := start(t, options{configuration: c, program: goProgram(t, "stdio"), args: []string{"args"},
				env: wrapQEMU(t, dir, func(qemu string) string {
					return fmt.Sprintf("#!/bin/sh\nexec %s \"$@\" -d in_asm -D %s\n", qemu, log)
				})})
			r.want(0)
			blocks, again := kernelBlocks(t, log)
			t.Logf("%d blocks of the kernel, %d again", blocks, again)
			// Some are again: the way into the state, and blocks that two processors translate at the same time.
			if blocks < 5000 || again > blocks/50 {
				t.Errorf("%d blocks of the kernel were translated, and %d of them again", blocks, again)
			}
		})
	}
}

// kernelBlocks counts the blocks of the kernel that QEMU's log of what it has translated shows (-d in_asm), and how many of them
// are there once more.
func kernelBlocks(t *testing.T, log string) (blocks, again int) {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := make(map[uint64]bool)
	begins := false // a block: the next line with an address is that of its first instruction
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "IN:") {
			begins = true
			continue
		}
		hex, _, found := strings.Cut(strings.TrimPrefix(lines.Text(), "0x"), ":")
		address, err := strconv.ParseUint(hex, 16, 64)
		if !begins || !found || err != nil {
			continue
		}
		begins = false
		if address>>63 == 0 { // a program's, the firmware's, or of the boot stub
			continue
		}
		blocks++
		if seen[address] {
			again++
		}
		seen[address] = true
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return blocks, again
}
