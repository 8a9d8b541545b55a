package programs

import (
	"golang.org/x/sys/unix"
)

// Ending is a way in which a program ends: by a status of its own, or by a signal.
type Ending struct {
	Args   []string // of program fault
	Status int
	Signal unix.Signal // 0 if it exits
	Report []string    // what a report of the signal should hold

	Emulated unix.Signal // the signal under QEMU's emulation, if it is another one
}

// Endings are the ways in which program fault ends.
var Endings = []Ending{
	{Args: []string{"exit", "0"}},
	{Args: []string{"exit", "1"}, Status: 1},
	{Args: []string{"exit", "255"}, Status: 255},
	{Args: []string{"exit", "300"}, Status: 44}, // the low eight bits [exit(3)]
	{Args: []string{"_exit", "5"}, Status: 5},
	{Args: []string{"thread", "exit", "6"}, Status: 6},
	{Args: []string{"main-ends"}, Status: 9},
	{Args: []string{"null"}, Signal: unix.SIGSEGV, Report: []string{"0x0"}},
	{Args: []string{"thread", "null"}, Signal: unix.SIGSEGV, Report: []string{"0x0"}},
	{Args: []string{"jump"}, Signal: unix.SIGSEGV, Report: []string{"0x0"}},
	{Args: []string{"code"}, Signal: unix.SIGSEGV},
	{Args: []string{"data"}, Signal: unix.SIGSEGV},
	{Args: []string{"kernel"}, Signal: unix.SIGSEGV, Report: []string{"0xffffffff80201000"}},
	{Args: []string{"noncanonical"}, Signal: unix.SIGSEGV},
	{Args: []string{"stack"}, Signal: unix.SIGSEGV},
	{Args: []string{"no-stack"}, Signal: unix.SIGSEGV, Report: []string{"0xfffffffffffffff8"}},
	// A #SS, for which TCG raises a #GP, as for all addresses that are not canonical.
	{Args: []string{"bad-stack"}, Signal: unix.SIGBUS, Emulated: unix.SIGSEGV},
	{Args: []string{"divide"}, Signal: unix.SIGFPE},
	{Args: []string{"illegal"}, Signal: unix.SIGILL},
	{Args: []string{"hlt"}, Signal: unix.SIGSEGV},
	{Args: []string{"port"}, Signal: unix.SIGSEGV},
	{Args: []string{"cr3"}, Signal: unix.SIGSEGV},
	{Args: []string{"breakpoint"}, Signal: unix.SIGTRAP},
	{Args: []string{"step"}, Signal: unix.SIGTRAP},
	{Args: []string{"abort"}, Signal: unix.SIGABRT},
	{Args: []string{"raise", "9"}, Signal: unix.SIGKILL},
	{Args: []string{"raise", "15"}, Signal: unix.SIGTERM},
	{Args: []string{"raise", "64"}, Signal: unix.Signal(64)},
}
