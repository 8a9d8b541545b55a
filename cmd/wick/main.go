// Command wick boots an ordinary static Linux/amd64 program as a microVM on an operating system
// kernel written in Go.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"wick/vmm/preflight"
)

// Exit statuses of wick itself, the same as docker's and a shell's. A program that ran gives its own.
const (
	statusFailure  = 125 // wick, QEMU or the kernel failed, or the command line is wrong
	statusBadProg  = 126 // the program is there, but wick can't run it
	statusNoProg   = 127 // there is no such program
	statusBySignal = 128 // and the number of the signal
)

// began is when wick began, as far as its own code can tell.
var began = time.Now()

func main() { os.Exit(run(os.Args[1:])) }

// statusError ends wick with a status; whatever is to be said has been said.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run executes a command line and returns wick's exit status.
func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	var status statusError
	var program *preflight.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &program):
		complain(err)
		if program.Missing {
			return statusNoProg
		}
		return statusBadProg
	}
	complain(err)
	return statusFailure
}

// complain says in one line what is wrong.
func complain(err error) { fmt.Fprintln(os.Stderr, "wick:", err) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "wick",
		Short: "Boot an ordinary Linux program as a microVM on a kernel written in Go",
		Long: `wick boots an unmodified static Linux/amd64 program as a virtual machine of its own, on an
operating system kernel written in Go, and shows every packet it sends and receives.`,
		Example: `  wick run ./server                              run it
  wick run -p 8080:80 --dump ./server            reach its port 80 at 127.0.0.1:8080, print packets
  wick run -p 0:53/udp -m 64M ./dns -v           flags behind PROGRAM are the program's own
  wick build -o image ./server                   make files that plain QEMU boots
  wick vsock connect /tmp/v 80                   talk to a machine started with --vsock /tmp/v
  wick dump --stats out.pcapng                   what a capture holds, in words and in numbers
  wick doctor                                    what is installed and what is missing`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(), newBuild(), newDump(), newVsock(), newDoctor(), newVersion())
	return root
}

// programArgs checks that a command line has a PROGRAM.
func programArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("which program? wick %s [flags] PROGRAM [ARG…] (see `%s --help`)", cmd.Name(), cmd.CommandPath())
	}
	return nil
}
