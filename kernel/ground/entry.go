package ground

import "wick/kernel/ground/regs"

// Go functions that the assembly calls, by the first word of their closures, with ABIInternal: arguments in AX, BX, CX.
var (
	bootFn    = boot
	apBootFn  = apBoot
	syscallFn = syscall
	trapFn    = trap
	faultFn   = fault
	fatalFn   = fatal
)

// Constants of regs for the assembly.
const (
	vecSyscall     = regs.Syscall
	vecInterrupted = regs.Interrupted
	vecProtection  = regs.GeneralProtection
	stateSSE       = regs.StateSSE
	stateFull      = regs.StateFull
)

// fatal reports an NMI, a double fault or a machine check.
func fatal() {
	switch threadAt(me().cur).vec {
	case vecNMI:
		die("non-maskable interrupt")
	case vecDoubleFault:
		die("double fault")
	}
	die("machine check")
}
