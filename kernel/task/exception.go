package task

import (
	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

// si_code values of faults [asm-generic/siginfo.h].
const (
	segvMapErr = 1 // SIGSEGV: nothing is mapped there
	segvAccErr = 2 // SIGSEGV: the mapping doesn't permit it
	busAdrAln  = 1 // SIGBUS: alignment
	busAdrErr  = 2 // SIGBUS: no such address, beyond the end of a mapped file
	illIllOpn  = 2 // SIGILL
	trapBrkpt  = 1 // SIGTRAP
	trapTrace  = 2 // SIGTRAP: single step
	fpeIntDiv  = 1 // SIGFPE: integer division by zero or overflow
	fpeFltDiv  = 3
	fpeFltOvf  = 4
	fpeFltUnd  = 5
	fpeFltRes  = 6
	fpeFltInv  = 7
)

// exception turns the exception that the thread left ring 3 by into its signal, as arch/x86/kernel/traps.c does.
func (t *Thread) exception() {
	u := t.Regs
	t.trap = trapState{u.Vec, u.Err, t.trap.cr2}
	sig, code, addr := unix.SIGSEGV, int32(SiKernel), uint64(0)
	switch u.Vec {
	case regs.DivideError:
		sig, code, addr = unix.SIGFPE, fpeIntDiv, u.IP
	case regs.Debug:
		sig, code, addr = unix.SIGTRAP, trapBrkpt, u.IP
		if u.Flags&flagTF != 0 {
			code = trapTrace
		}
	case regs.Breakpoint:
		sig = unix.SIGTRAP
	case regs.InvalidOpcode:
		sig, code, addr = unix.SIGILL, illIllOpn, u.IP
	case regs.SegmentNotPresent, regs.StackFault:
		sig = unix.SIGBUS
	case regs.AlignmentCheck:
		sig, code = unix.SIGBUS, busAdrAln
	case regs.X87Error, regs.SIMDError:
		sig, code, addr = unix.SIGFPE, t.floatCode(), u.IP
		if code == 0 {
			return // all exceptions are masked by now, so there is nothing to tell
		}
	}
	t.force(faultInfo(sig, code, addr), vectorName(u.Vec))
}

// floatCode returns the si_code of a floating-point exception, 0 if none is unmasked [SDM1 8.1.3, 10.2.3].
func (t *Thread) floatCode() int32 {
	u := t.Regs
	var raised uint32
	if u.Vec == regs.X87Error {
		control, status := u.X87Words(t.Process.options.Extent)
		raised = uint32(status &^ control)
	} else {
		mxcsr := u.MXCSR()
		raised = mxcsr &^ (mxcsr >> 7)
	}
	switch {
	case raised&0x01 != 0: // invalid operation
		return fpeFltInv
	case raised&0x04 != 0: // division by zero
		return fpeFltDiv
	case raised&0x08 != 0: // overflow
		return fpeFltOvf
	case raised&0x12 != 0: // denormal operand, underflow
		return fpeFltUnd
	case raised&0x20 != 0: // precision
		return fpeFltRes
	}
	return 0
}

// vectorName names an exception for reports [SDM3 6.15].
func vectorName(vec uint64) string {
	switch vec {
	case regs.DivideError:
		return "division by zero"
	case regs.Debug:
		return "debug trap"
	case regs.Breakpoint:
		return "breakpoint"
	case regs.Overflow:
		return "overflow trap"
	case regs.BoundRange:
		return "bound range exceeded"
	case regs.InvalidOpcode:
		return "invalid opcode"
	case regs.DeviceNotAvail:
		return "device not available"
	case regs.SegmentNotPresent:
		return "segment not present"
	case regs.StackFault:
		return "stack fault: a non-canonical address"
	case regs.GeneralProtection:
		return "general protection: a privileged instruction or a non-canonical address"
	case regs.X87Error:
		return "x87 floating-point error"
	case regs.AlignmentCheck:
		return "unaligned access"
	case regs.SIMDError:
		return "SSE floating-point error"
	}
	return "unexpected exception"
}
