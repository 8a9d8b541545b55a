package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"wick/packet"
	"wick/vmm"
)

// What is shown of the kernel's console.

const (
	// bootLines is how much of it is shown after a failure that the kernel hasn't told of.
	bootLines = 40
	// panicLines is how much is shown of what the Go runtime tells when it fails, and the same of the kernel's report: the
	// beginnings, which tell of the failure itself, the program and the network.
	panicLines = 120
)

// showBoot shows the last lines of what the kernel wrote.
func showBoot(text string) {
	text = strings.Trim(text, "\n")
	if text == "" {
		fmt.Fprintln(os.Stderr, "wick: the kernel wrote nothing to its console")
		return
	}
	lines := strings.Split(text, "\n")
	if extra := len(lines) - bootLines; extra > 0 {
		fmt.Fprintf(os.Stderr, "wick: the kernel's console (%d earlier lines left out):\n", extra)
		lines = lines[extra:]
	} else {
		fmt.Fprintln(os.Stderr, "wick: the kernel's console:")
	}
	for _, line := range lines {
		fmt.Fprintln(os.Stderr, "  "+line)
	}
}

// showPanic shows what the kernel wrote when it failed: first what its Go runtime has to tell, if that has failed, then
// the report.
func showPanic(text string) {
	runtime, report := text, ""
	if at := strings.Index("\n"+text, "\n"+panicLine); at >= 0 {
		runtime, report = text[:at], text[at:]
	}
	fmt.Fprintln(os.Stderr, "wick: the kernel's console:")
	showLines(runtime)
	showLines(inWords(report))
}

// panicLine is how the kernel's report of a failure begins.
const panicLine = "wick: kernel panic: "

// showLines shows the first panicLines lines of a text.
func showLines(text string) {
	text = strings.Trim(text, "\n")
	if text == "" {
		return
	}
	lines := strings.Split(text, "\n")
	extra := len(lines) - panicLines
	for _, line := range lines[:min(len(lines), panicLines)] {
		fmt.Fprintln(os.Stderr, "  "+line)
	}
	if extra > 0 {
		fmt.Fprintf(os.Stderr, "  … %d more lines, which wick run -v shows\n", extra)
	}
}

// reporting is held while a report is made: there is one at a time.
var reporting sync.Mutex

// tellReport has the kernel make a report, and shows all of it. With -v it is on the screen as the kernel writes it.
func tellReport(vm *vmm.VM, verbose bool) {
	if !reporting.TryLock() {
		return
	}
	defer reporting.Unlock()
	text, err := vm.Report()
	if !verbose {
		fmt.Fprint(os.Stderr, inWords(text))
	}
	if err != nil {
		complain(err)
	}
}

// packetLine is how a report of the kernel writes a packet.
var packetLine = regexp.MustCompile(`(?m)^  packet (\d+) at (\d+) ns (sent|received) (dropped )?(\d+) bytes ([0-9a-f]*)$`)

// inWords puts the packets of a report in words.
func inWords(report string) string {
	decoder := packet.NewDecoder(64)
	return packetLine.ReplaceAllStringFunc(report, func(line string) string {
		m := packetLine.FindStringSubmatch(line)
		f := packet.Frame{Interface: "e0"}
		f.Number, _ = strconv.ParseUint(m[1], 10, 64)
		ns, _ := strconv.ParseInt(m[2], 10, 64)
		f.Time = time.Duration(ns)
		if m[3] == "sent" {
			f.Direction = packet.Transmit
		}
		if m[4] != "" {
			f.Drop = "yes"
		}
		f.WireLen, _ = strconv.Atoi(m[5])
		f.Data, _ = hex.DecodeString(m[6])
		return "  " + strings.TrimSuffix(string(decoder.Append(nil, &f, packet.Line)), "\n")
	})
}
