package task

import (
	"strconv"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
)

// pageFault gets the thread the page that it wants, or the signal for it.
func (t *Thread) pageFault() {
	u := t.Regs
	if t.systemFault() {
		t.trap = trapState{u.Vec, u.Err, u.CR2}
		t.force(faultInfo(unix.SIGSEGV, segvAccErr, u.CR2), "the CPU's own access to user memory at "+hex(u.CR2)+" is forbidden")
		return
	}
	p := t.Process
	fault := func() mm.Outcome {
		return p.Space.Fault(u.CR2, u.Err&regs.FaultWrite != 0, u.Err&regs.FaultFetch != 0)
	}
	outcome := fault()
	if outcome == mm.OutOfMemory {
		outcome = t.wantMemory(fault)
	}
	if outcome == mm.Handled {
		return
	}
	t.trap = trapState{u.Vec, u.Err, u.CR2}
	sig, code := outcome.Signal()
	info := faultInfo(sig, code, u.CR2)
	if outcome != mm.OutOfMemory {
		t.force(info, accessName(u.Err)+" at "+hex(u.CR2)+": "+outcome.String())
		return
	}
	p.mu.Lock()
	first := !p.exiting
	p.exitLocked(Status{Signal: sig})
	p.mu.Unlock()
	if first {
		t.report(&info, "no memory is left for the program; give the machine more")
	}
}

// systemFault tells whether the page fault can't be resolved because SMAP forbids it: an access for which the CPU assumes
// supervisor mode though it is in ring 3 [SDM3 4.6.1], to a page that is there. Without SMAP it may be a write to a page that
// is to be copied, so the same fault must have come before. (QEMU's emulation takes the stack accesses of far calls and
// returns for such.)
func (t *Thread) systemFault() bool {
	u := t.Regs
	if u.Err&(regs.FaultPresent|regs.FaultUser) != regs.FaultPresent {
		return false
	}
	place := [2]uint64{u.IP, u.CR2}
	again := t.systemPlace == place
	t.systemPlace = place
	return again
}

// accessName tells what kind of access a page-fault error code is of.
func accessName(code uint64) string {
	switch {
	case code&regs.FaultFetch != 0:
		return "instruction fetch"
	case code&regs.FaultWrite != 0:
		return "write"
	}
	return "read"
}

// hex formats a number as programs of this trade do.
func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

// appendHex appends v as 16 digits.
func appendHex(b []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}

// report tells the log why a signal that the thread itself has caused ends the process.
func (t *Thread) report(info *Info, why string) {
	p := t.Process
	if p.options.Log == nil {
		return
	}
	b := make([]byte, 0, 1024)
	b = append(b, SignalName(info.Signal())...)
	b = append(b, ": "...)
	b = append(b, why...)
	b = append(b, "\n  thread "...)
	b = strconv.AppendInt(b, int64(t.TID), 10)
	b = append(b, " ("...)
	b = append(b, t.Name()...)
	b = append(b, ") of process "...)
	b = strconv.AppendInt(b, int64(p.PID), 10)
	b = append(b, ", si_code "...)
	b = strconv.AppendInt(b, int64(info.Code), 10)
	b = append(b, ", error code "...)
	b = strconv.AppendUint(b, t.trap.code, 10)
	b = append(b, '\n')
	b = t.appendRegs(b)
	b = append(b, "  IP is in "...)
	b = p.appendArea(b, t.Regs.IP)
	b = append(b, "\n  SP is in "...)
	b = p.appendArea(b, t.Regs.SP)
	b = append(b, '\n')
	if p.options.Trace != nil {
		b = p.options.Trace(t, b)
	}
	p.options.Log(string(b))
}

// appendRegs appends the registers, three in a line.
func (t *Thread) appendRegs(b []byte) []byte {
	u := t.Regs
	for i, r := range [...]struct {
		name  string
		value uint64
	}{
		{"IP ", u.IP}, {"SP ", u.SP}, {"FL ", u.Flags},
		{"AX ", u.AX}, {"BX ", u.BX}, {"CX ", u.CX},
		{"DX ", u.DX}, {"SI ", u.SI}, {"DI ", u.DI},
		{"BP ", u.BP}, {"R8 ", u.R8}, {"R9 ", u.R9},
		{"R10", u.R10}, {"R11", u.R11}, {"R12", u.R12},
		{"R13", u.R13}, {"R14", u.R14}, {"R15", u.R15},
		{"FS ", u.FSBase}, {"GS ", u.GSBase}, {"CR2", t.trap.cr2},
	} {
		b = append(b, "  "...)
		b = append(b, r.name...)
		b = append(b, ' ')
		b = appendHex(b, r.value)
		if i%3 == 2 {
			b = append(b, '\n')
		}
	}
	return b
}

// appendArea appends a description of the mapping that va lies in.
func (p *Process) appendArea(b []byte, va uint64) []byte {
	for _, a := range p.Space.Maps() {
		if va < a.Start || va >= a.End {
			continue
		}
		b = append(b, hex(a.Start)...)
		b = append(b, '-')
		b = append(b, hex(a.End)...)
		b = append(b, ' ')
		for _, f := range [...]struct {
			prot int
			name byte
		}{{unix.PROT_READ, 'r'}, {unix.PROT_WRITE, 'w'}, {unix.PROT_EXEC, 'x'}} {
			if a.Prot&f.prot == 0 {
				f.name = '-'
			}
			b = append(b, f.name)
		}
		if a.Name == "" {
			return append(b, " (anonymous)"...)
		}
		b = append(b, ' ')
		b = append(b, a.Name...)
		if a.Name[0] == '/' {
			b = append(b, " at file offset "...)
			b = append(b, hex(uint64(a.Offset)+va-a.Start)...)
		}
		return b
	}
	return append(b, "no mapping"...)
}

// SignalName returns the name of a signal, such as "SIGSEGV", for people.
func SignalName(sig unix.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(sig))
}
