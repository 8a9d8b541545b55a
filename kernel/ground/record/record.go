// Package record keeps what the threads of programs and the network have done last, for who looks at a kernel that
// doesn't answer any more: ground, when it reports a panic, and a debugger.
//
// It is plain data in fixed places, so that it can be read without the help of the Go runtime, and while a writer is
// stopped in the middle of it. Those who write neither wait nor allocate.
package record

import (
	"sync/atomic"

	"wick/kernel/ground/regs"
)

// KeptCalls is how many system calls of a thread are kept; a power of two.
const KeptCalls = 16

// Call is a system call that a thread has made.
type Call struct {
	Sequence uint64 // among the calls of all threads, from 1
	Number   uint64
	Result   uint64 // what RAX became, if it has returned
}

// Thread is what is kept of a thread of a program. Only the goroutine of the thread writes it.
type Thread struct {
	TID    uint64
	Regs   *regs.User // its registers, while it is not in ring 3
	Inside uint64     // 1 while it is in a system call, the last in Calls, with the arguments in Regs
	Made   uint64     // number of calls so far
	Calls  [KeptCalls]Call

	PID uint64 // of its process

	next, end uint64 // sequence numbers that it has taken, and not given to a call yet

	slot int // in Threads, or -1
}

// MaxThreads bounds the threads that are on record; more than there can be.
const MaxThreads = 4608

// Threads are those that live, each in a place of its own.
var Threads [MaxThreads]atomic.Pointer[Thread]

// sequence is the last sequence number that a thread has taken. A thread takes several at once, for as long as no other takes any:
// to change what all CPUs look at is dear.
var sequence atomic.Uint64

// taken is how many sequence numbers are taken at once.
const taken = 16

// Add puts a thread of a process on record.
func Add(pid, tid int, u *regs.User) *Thread {
	t := &Thread{PID: uint64(pid), TID: uint64(tid), Regs: u, slot: -1}
	for i := range MaxThreads {
		slot := (tid + i) % MaxThreads
		if Threads[slot].Load() == nil && Threads[slot].CompareAndSwap(nil, t) {
			t.slot = slot
			break
		}
	}
	return t
}

// Remove takes a thread off the record.
func (t *Thread) Remove() {
	if t.slot >= 0 {
		Threads[t.slot].Store(nil)
		t.slot = -1
	}
}

// Begin notes that the thread makes a system call.
func (t *Thread) Begin(number uint64) {
	if t.next == t.end || sequence.Load() != t.end {
		t.end = sequence.Add(taken)
		t.next = t.end - taken
	}
	t.next++
	c := &t.Calls[t.Made%KeptCalls]
	t.Made++
	c.Sequence, c.Number, c.Result = t.next, number, 0
	t.Inside = 1
}

// End notes the result of the call that has begun last.
func (t *Thread) End(result uint64) {
	t.Calls[(t.Made-1)%KeptCalls].Result = result
	t.Inside = 0
}

// Recent returns the call that was made n calls ago, 0 being the last, and whether it is still kept.
func (t *Thread) Recent(n uint64) (c Call, ok bool) {
	if n >= min(t.Made, KeptCalls) {
		return Call{}, false
	}
	return t.Calls[(t.Made-1-n)%KeptCalls], true
}

// Made returns how many system calls all threads have made, and a few more: those whose numbers have been taken.
func Made() uint64 { return sequence.Load() }

// Names are names of system calls, in one string with a blank between them, from a number on.
type Names struct {
	First uint64
	Text  string
}

// CallNames are set by the system-call layer, in ascending order.
var CallNames [2]Names
