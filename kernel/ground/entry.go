package ground

import "wick/kernel/ground/regs"

// Go functions that the assembly calls, by the first word of their closures, with ABIInternal: arguments in AX, BX, CX.
var (
	bootFn     = boot
	apBootFn   = apBoot
	syscallFn  = syscall
	trapFn     = trap
	faultFn    = fault
	fatalFn    = fatal
	surpriseFn = surprise
)

// Constants of regs for the assembly.
const (
	vecSyscall     = regs.Syscall
	vecInterrupted = regs.Interrupted
	vecProtection  = regs.GeneralProtection
	stateSSE       = regs.StateSSE
	stateFull      = regs.StateFull
)
