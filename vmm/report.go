package vmm

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The lines of kernel/ground with which reports begin, alone or after why the kernel has panicked, and end.
const (
	reportLine    = "wick: report: "
	panicLine     = "wick: kernel panic: "
	reportEndLine = "wick: end of the report"
)

// Times of Report: how long a kernel may take to begin, after which it is asked again, and to go on.
const (
	reportPatience = 5 * time.Second
	reportTries    = 4
)

// Report has the kernel tell what its CPUs, threads and goroutines and the program's threads do, by a non-maskable
// interrupt, and returns what it says. The machine goes on behind it. An error tells that the report is not complete; what there
// is of it is returned.
func (vm *VM) Report() (string, error) {
	from := vm.boot.Size()
	complete := func() bool {
		text := vm.boot.From(from)
		return strings.Contains(text, reportEndLine+"\n")
	}
	for range reportTries {
		if _, err := vm.monitor.Execute("inject-nmi", nil); err != nil {
			return vm.boot.From(from), fmt.Errorf("asking QEMU for a non-maskable interrupt: %w", err)
		}
		for {
			before := vm.boot.Size()
			if vm.boot.await(complete, vm.silent, reportPatience) {
				return vm.boot.From(from), nil
			}
			if vm.boot.Size() == before { // nothing comes any more
				break
			}
		}
		if vm.boot.Size() != from {
			break
		}
	}
	return vm.boot.From(from), errors.New("the kernel does not answer a non-maskable interrupt")
}

// Panic returns the text of the kernel's console from where the kernel or its Go runtime tells why it has failed; "" if it
// has not. The reason is of one line.
func (vm *VM) Panic() (reason, text string) { return findPanic(vm.BootText()) }

// runtimeFailures are the beginnings of lines with which the Go runtime tells that it gives up.
var runtimeFailures = []string{"panic: ", "fatal error: ", "SIG", "runtime: "}

func findPanic(text string) (reason, rest string) {
	at := strings.Index("\n"+text, "\n"+panicLine)
	if at < 0 {
		return "", ""
	}
	reason, _, _ = strings.Cut(text[at+len(panicLine):], "\n")
	// Before it, the Go runtime may have told more.
	start := at
	for i := 0; i < at; {
		end := i + strings.IndexByte(text[i:], '\n')
		for _, begin := range runtimeFailures {
			if strings.HasPrefix(text[i:end], begin) {
				if begin == "panic: " || begin == "fatal error: " {
					reason = text[i:end]
				}
				return reason, text[i:]
			}
		}
		i = end + 1
	}
	return reason, text[start:]
}
