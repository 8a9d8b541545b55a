package vmm

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// playReporter is a QEMU whose guest answers non-maskable interrupts: the first not at all, the second with a report.
func playReporter() {
	boot, monitor := os.NewFile(bootFD, "boot"), os.NewFile(monitorFD, "monitor")
	boot.WriteString("before\r\n")
	fmt.Fprintln(monitor, `{"QMP": {"version": {}}}`)
	interrupts := 0
	for in := bufio.NewScanner(monitor); in.Scan(); {
		if strings.Contains(in.Text(), "inject-nmi") {
			if interrupts++; interrupts == 2 {
				boot.WriteString("\r\nwick: report: x\r\ncpu 0: idle\r\nwick: end of the report\r\n")
			}
		}
		fmt.Fprintln(monitor, `{"return": {}}`)
	}
	os.Exit(0)
}

// playLastReport is a QEMU whose guest reports, and whose machine ends then.
func playLastReport() {
	boot, monitor := os.NewFile(bootFD, "boot"), os.NewFile(monitorFD, "monitor")
	fmt.Fprintln(monitor, `{"QMP": {"version": {}}}`)
	for in := bufio.NewScanner(monitor); in.Scan(); {
		if strings.Contains(in.Text(), "inject-nmi") {
			boot.WriteString("wick: report: x\r\nwick: end of the report\r\n")
			fmt.Fprintln(monitor, `{"return": {}}`)
			os.Exit(0)
		}
		fmt.Fprintln(monitor, `{"return": {}}`)
	}
}

func TestReport(t *testing.T) {
	vm := startAs(t, "reporting qemu", nil)
	if !vm.boot.await(func() bool { return vm.BootText() != "" }, vm.silent, time.Minute) {
		t.Fatal("the guest says nothing")
	}
	text, err := vm.Report()
	if want := "\nwick: report: x\ncpu 0: idle\nwick: end of the report\n"; text != want || err != nil {
		t.Errorf("got %q, %v; want %q", text, err, want)
	}
}

// slowLog takes the kernel's report no sooner than when the machine has ended.
type slowLog struct{ ended chan struct{} }

func (l slowLog) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(reportLine)) {
		<-l.ended
	}
	return len(p), nil
}

// TestReportIsTheLastThatAMachineSays: what it has said before its end counts, however late it is read.
func TestReportIsTheLastThatAMachineSays(t *testing.T) {
	log := slowLog{make(chan struct{})}
	vm := startAs(t, "qemu that ends with a report", log)
	go func() {
		<-vm.Ended()
		time.Sleep(10 * time.Millisecond) // for who has learned of it, too, to come first
		close(log.ended)
	}()
	text, err := vm.Report()
	if want := "wick: report: x\nwick: end of the report\n"; text != want || err != nil {
		t.Errorf("got %q, %v; want %q", text, err, want)
	}
}

func TestReportOfAMachineThatEnds(t *testing.T) {
	vm := startAs(t, "failing qemu", nil)
	vm.Wait()
	if text, err := vm.Report(); text != "" || err == nil {
		t.Errorf("got %q, %v of a machine that has ended", text, err)
	}
}

func TestPanicIsFoundInTheBootText(t *testing.T) {
	for _, c := range []struct{ name, boot, reason, text string }{
		{"none", "one\ntwo\n", "", ""},
		{"words of a program", "a wick: kernel panic: no\n", "", ""},
		{"ground", "one\n\nwick: kernel panic: double fault\ncpu 0: idle\n", "double fault", "wick: kernel panic: double fault\ncpu 0: idle\n"},
		{"at once", "wick: kernel panic: early\n", "early", "wick: kernel panic: early\n"},
		{"the runtime", "one\npanic: x\n\ngoroutine 1\n\nwick: kernel panic: the runtime\nlast\n", "panic: x",
			"panic: x\n\ngoroutine 1\n\nwick: kernel panic: the runtime\nlast\n"},
		{"a signal", "SIGSEGV: segmentation violation\nPC=1\n\nwick: kernel panic: the runtime\n", "the runtime",
			"SIGSEGV: segmentation violation\nPC=1\n\nwick: kernel panic: the runtime\n"},
	} {
		if reason, text := findPanic(c.boot); reason != c.reason || text != c.text {
			t.Errorf("%s: got %q and %q, want %q and %q", c.name, reason, text, c.reason, c.text)
		}
	}
}
