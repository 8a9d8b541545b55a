package task

import (
	"math/bits"
	"slices"

	"golang.org/x/sys/unix"
)

// NumSignals is the highest signal number; signals are 1 to NumSignals.
const NumSignals = 64

// firstRealTime is the first signal that queues instead of coalescing, signal(7).
const firstRealTime = 32

// maxQueued bounds the queued signals of one thread or process (RLIMIT_SIGPENDING).
const maxQueued = 1024

// Set is a set of signals in the form of the ABI's sigset_t: bit N-1 is signal N.
type Set uint64

// SetOf returns the set of the given signals.
func SetOf(sigs ...unix.Signal) Set {
	var s Set
	for _, sig := range sigs {
		s |= 1 << (sig - 1)
	}
	return s
}

// Has tells whether sig is in the set.
func (s Set) Has(sig unix.Signal) bool { return s>>(sig-1)&1 != 0 }

// unblockable are the signals that no mask holds back.
const unblockable Set = 1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1)

// synchronous are the signals that an instruction causes; they are delivered before others, so that
// the handler sees the registers of that instruction.
const synchronous Set = 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGBUS-1) | 1<<(unix.SIGILL-1) |
	1<<(unix.SIGTRAP-1) | 1<<(unix.SIGFPE-1) | 1<<(unix.SIGSYS-1)

// ignoredByDefault are the signals whose default action does nothing. What SIGCONT does, it does when it is sent.
const ignoredByDefault Set = 1<<(unix.SIGCHLD-1) | 1<<(unix.SIGURG-1) | 1<<(unix.SIGWINCH-1) | 1<<(unix.SIGCONT-1)

// Handlers that are not addresses, and flags of an Action [signal.h].
const (
	SigDfl = 0
	SigIgn = 1

	SaNocldstop = 0x1
	SaNocldwait = 0x2
	SaSiginfo   = 0x4
	SaOnstack   = 0x08000000
	SaRestart   = 0x10000000
	SaNodefer   = 0x40000000
	SaResethand = 0x80000000
	SaRestorer  = 0x04000000
)

// Action is what a signal does, in the order of the kernel's struct sigaction on x86-64.
type Action struct {
	Handler  uint64
	Flags    uint64
	Restorer uint64
	Mask     Set
}

// Codes of an Info that are not particular to a signal [asm-generic/siginfo.h].
const (
	SiUser   = 0    // kill
	SiKernel = 0x80 // the kernel
	SiQueue  = -1   // sigqueue
	SiTimer  = -2   // timer
	SiTkill  = -6   // tkill, tgkill
)

// Info is what a program learns of a signal: the first 48 bytes of siginfo_t, all that Linux uses of
// its 128.
//
//	 0        4        8        12       16
//	+--------+--------+--------+--------+----------------------
//	| signo  | errno  | code   | (pad)  | Data: 32 bytes, by code
//	+--------+--------+--------+--------+----------------------
type Info struct {
	Signo, Errno, Code int32
	Data               [4]uint64

	timer *Timer // whose signal it is, or nil
}

// Sizes of siginfo_t in bytes.
const (
	InfoSize     = 128
	infoUsedSize = 48
)

// Signal returns the signal that the Info is of.
func (i *Info) Signal() unix.Signal { return unix.Signal(i.Signo) }

// Addr returns the address of a fault's Info (si_addr).
func (i *Info) Addr() uint64 { return i.Data[0] }

// UserInfo returns the Info of kill (SiUser) or tgkill (SiTkill) by a process of user uid.
func UserInfo(sig unix.Signal, code int32, pid int, uid uint32) Info {
	return Info{Signo: int32(sig), Code: code, Data: [4]uint64{uint64(uint32(pid)) | uint64(uid)<<32}}
}

// faultInfo returns the Info of an exception at addr.
func faultInfo(sig unix.Signal, code int32, addr uint64) Info {
	return Info{Signo: int32(sig), Code: code, Data: [4]uint64{addr}}
}

// Encode stores the Info in b, which has at least infoUsedSize bytes; those after it are left alone.
func (i *Info) Encode(b []byte) {
	le.PutUint32(b[0:], uint32(i.Signo))
	le.PutUint32(b[4:], uint32(i.Errno))
	le.PutUint32(b[8:], uint32(i.Code))
	le.PutUint32(b[12:], 0)
	for k, v := range i.Data {
		le.PutUint64(b[16+8*k:], v)
	}
}

// DecodeInfo reads an Info as a program passes it to rt_sigqueueinfo. b has at least infoUsedSize bytes.
func DecodeInfo(b []byte) Info {
	i := Info{Signo: int32(le.Uint32(b[0:])), Errno: int32(le.Uint32(b[4:])), Code: int32(le.Uint32(b[8:]))}
	for k := range i.Data {
		i.Data[k] = le.Uint64(b[16+8*k:])
	}
	return i
}

// pending holds the signals that were sent and not yet delivered. The zero value is empty. Process.mu guards it.
type pending struct {
	set   Set
	queue []Info // in the order of sending; a signal of set may be without an entry if there was no room
}

// add queues a signal. A standard signal that is pending already coalesces with it. With the queue
// full, a real-time signal of sigqueue is refused (unix.EAGAIN); others lose only their information.
// The signals of timers, of which each has one at most, are always queued.
func (q *pending) add(info Info) error {
	sig := info.Signal()
	if sig < firstRealTime && q.set.Has(sig) && info.timer == nil {
		return nil
	}
	if len(q.queue) >= maxQueued && info.timer == nil {
		if sig >= firstRealTime && info.Code != SiUser {
			return unix.EAGAIN
		}
	} else {
		q.queue = append(q.queue, info)
	}
	q.set |= SetOf(sig)
	return nil
}

// take removes the next signal of the set from: synchronous ones first, then by number, then by age.
func (q *pending) take(from Set) (Info, bool) {
	ready := q.set & from
	if ready == 0 {
		return Info{}, false
	}
	if s := ready & synchronous; s != 0 {
		ready = s
	}
	sig := unix.Signal(bits.TrailingZeros64(uint64(ready)) + 1)
	info, found, more := Info{Signo: int32(sig), Code: SiUser}, -1, false
	for k := range q.queue {
		if q.queue[k].Signal() != sig {
			continue
		}
		if found >= 0 {
			more = true
			break
		}
		found = k
	}
	if found >= 0 {
		info = q.queue[found]
		q.queue = append(q.queue[:found], q.queue[found+1:]...)
	}
	if !more {
		q.set &^= SetOf(sig)
	}
	if t := info.timer; t != nil {
		overrun := t.takenLocked(0)
		if info.Code == SiTimer {
			info.Data[0] |= uint64(overrun) << 32
		}
	}
	return info, true
}

// holds tells whether the signal of a timer is queued.
func (q *pending) holds(t *Timer) bool {
	return slices.ContainsFunc(q.queue, func(info Info) bool { return info.timer == t })
}

// drop forgets the signal of a timer.
func (q *pending) drop(t *Timer) {
	k := slices.IndexFunc(q.queue, func(info Info) bool { return info.timer == t })
	if k < 0 {
		return
	}
	sig := q.queue[k].Signal()
	q.queue = slices.Delete(q.queue, k, k+1)
	if !slices.ContainsFunc(q.queue, func(info Info) bool { return info.Signal() == sig }) {
		q.set &^= SetOf(sig)
	}
}

// flush forgets the signals of a set.
func (q *pending) flush(gone Set) {
	if q.set&gone == 0 {
		return
	}
	q.set &^= gone
	kept := q.queue[:0]
	for _, info := range q.queue {
		if !gone.Has(info.Signal()) {
			kept = append(kept, info)
		} else if info.timer != nil {
			info.timer.takenLocked(0)
		}
	}
	q.queue = kept
}
