// Package check runs the cases of a test program and prints one line for each: `ok NAME`, or
// `FAIL NAME: why`. It is for programs that must run unchanged on Linux and in a VM, where Go's
// testing package would bring more than there is to test.
//
// A case that takes longer than its limit ends the program with the stacks of its goroutines: a
// hang is a failure with a name.
package check

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

// Case is one named case of a program.
type Case struct {
	Name string
	Run  func(t *T)
}

// Exit statuses of a program.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitTimeout = 3
)

// patience is how much longer a case that took too long is watched, to tell what is slow from what is stuck.
const patience = 30 * time.Second

var (
	list  = flag.Bool("list", false, "print the names of the cases")
	limit = flag.Duration("limit", 2*time.Minute, "how long one case may take")
)

// Main runs the cases that the command line names, or all, and exits: with 0 only if all passed. It
// parses the flags, so programs may define their own before.
func Main(cases ...Case) {
	flag.Parse()
	if *list {
		for _, c := range cases {
			fmt.Println(c.Name)
		}
		return
	}
	chosen, err := choose(cases, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	status := 0
	for _, c := range chosen {
		if !runCase(c, *limit) {
			status = exitFailed
		}
	}
	os.Exit(status)
}

// choose returns the cases with the given names, in that order; all if there are none.
func choose(cases []Case, names []string) ([]Case, error) {
	if len(names) == 0 {
		return cases, nil
	}
	var chosen []Case
next:
	for _, name := range names {
		for _, c := range cases {
			if c.Name == name {
				chosen = append(chosen, c)
				continue next
			}
		}
		return nil, fmt.Errorf("no case %q (-list prints them)", name)
	}
	return chosen, nil
}

// runCase runs one case on a goroutine of its own and reports whether it passed.
func runCase(c Case, limit time.Duration) bool {
	t := &T{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer t.cleanUp()
		c.Run(t)
	}()
	select {
	case <-done:
	case <-time.After(limit):
		fmt.Printf("FAIL %s: not done after %v\n", c.Name, limit)
		stacks := make([]byte, 1<<20)
		os.Stdout.Write(stacks[:runtime.Stack(stacks, true)])
		late := time.Now()
		select {
		case <-done:
			fmt.Printf("%s: done %v later: slow, not stuck\n", c.Name, time.Since(late))
		case <-time.After(min(limit, patience)):
			fmt.Printf("%s: not done %v later\n", c.Name, time.Since(late))
		}
		os.Exit(exitTimeout)
	}
	if failures := t.take(); len(failures) > 0 {
		for _, why := range failures {
			fmt.Printf("FAIL %s: %s\n", c.Name, why)
		}
		return false
	}
	fmt.Println("ok", c.Name)
	return true
}

// where names the line of the program that called into this package.
func where() string {
	pcs := make([]uintptr, 10)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if !inThisPackage(frame.Function) || !more {
			return fmt.Sprintf("%s:%d", base(frame.File), frame.Line)
		}
	}
}
