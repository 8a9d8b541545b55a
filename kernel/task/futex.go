package task

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// Futexes, futex(2).
//
// A waiter is in the bucket of its address from before the check of the futex word until a waker or the
// waiter itself takes it out, always under the bucket's lock. The word is read under the same lock, and a waker has
// changed the word before it looks into the bucket: so a wake can't be lost between check and sleep. A waiter that is in no
// bucket any more has been woken: whoever takes it out nudges it after that.
//
// All processes have one table. A futex is known by the memory that its address stands for, so that those who share it meet,
// at whatever addresses they have it.

const futexBuckets = 256 // a power of two

// futexAnyBits is FUTEX_BITSET_MATCH_ANY.
const futexAnyBits = 0xffffffff

type futexTable struct {
	buckets [futexBuckets]futexBucket
}

// futexBucket is a list of waiters in the order of arrival.
type futexBucket struct {
	mu    sync.Mutex
	first *futexWaiter // guarded by mu, and so are the links of the waiters
	last  *futexWaiter
}

// futexWaiter is a thread's place in a bucket. A thread has only one, and waits on one futex at a time.
type futexWaiter struct {
	word       mm.Word
	bits       uint32
	prev, next *futexWaiter
	bucket     atomic.Pointer[futexBucket] // the one it is in; changes only under the locks of all buckets concerned
	thread     *Thread
}

// futexIndex is the number of a bucket by the address, or the offset in what is shared: Fibonacci hashing [TAOCP 6.4].
func futexIndex(addr uint64) uint64 { return (addr >> 2) * 0x9e3779b97f4a7c15 >> 56 % futexBuckets }

// bucket returns the bucket of a futex.
func (f *futexTable) bucket(word mm.Word) *futexBucket { return &f.buckets[futexIndex(word.Offset())] }

// insert appends w. b.mu is held.
func (b *futexBucket) insert(w *futexWaiter) {
	w.prev, w.next = b.last, nil
	if b.last != nil {
		b.last.next = w
	} else {
		b.first = w
	}
	b.last = w
	w.bucket.Store(b)
}

// remove takes w out. b.mu is held.
func (b *futexBucket) remove(w *futexWaiter) {
	b.unlink(w)
	w.bucket.Store(nil)
}

// unlink takes w out of the list, but lets w.bucket be: to move w, insert follows, so that nobody sees w in no
// bucket and takes it for woken. b.mu is held.
func (b *futexBucket) unlink(w *futexWaiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.last = w.prev
	}
	w.prev, w.next = nil, nil
}

// wake takes up to n waiters for word with one of bits out and wakes them. b.mu is held.
func (b *futexBucket) wake(word mm.Word, n int, bits uint32) int {
	count := 0
	for w := b.first; w != nil && count < n; {
		next := w.next
		if w.bits&bits != 0 && w.word == word {
			b.remove(w)
			w.thread.nudge()
			count++
		}
		w = next
	}
	return count
}

// lock locks the bucket that w is in, and returns nil if it is in none. A requeue may move w meanwhile.
func (w *futexWaiter) lock() *futexBucket {
	for {
		b := w.bucket.Load()
		if b == nil {
			return nil
		}
		b.mu.Lock()
		if w.bucket.Load() == b {
			return b
		}
		b.mu.Unlock()
	}
}

// futexAddr checks the address of a futex: unix.EINVAL if it isn't aligned.
func futexAddr(addr uint64) error {
	if addr&3 != 0 {
		return unix.EINVAL
	}
	return nil
}

// FutexWait sleeps while the word at addr is value, until it is woken with one of bits, or the
// deadline, if that isn't the zero time. Errors: unix.EAGAIN if the word isn't value, unix.ETIMEDOUT, unix.EINTR,
// unix.EFAULT, unix.EINVAL.
func (t *Thread) FutexWait(addr uint64, value, bits uint32, deadline time.Time) error {
	if bits == 0 {
		return unix.EINVAL
	}
	if err := futexAddr(addr); err != nil {
		return err
	}
	word := t.Process.Space.Word(addr)
	w, b := &t.waiter, t.Process.family.futexes.bucket(word)
	b.mu.Lock()
	now, err := t.Process.Space.LoadUint32(addr)
	if err == nil && now != value {
		err = unix.EAGAIN
	}
	if err != nil {
		b.mu.Unlock()
		return err
	}
	w.word, w.bits = word, bits
	b.insert(w)
	b.mu.Unlock()

	for err == nil && w.bucket.Load() != nil {
		err = t.Sleep(deadline)
	}
	if b = w.lock(); b == nil {
		return nil // woken, perhaps while it gave up
	}
	b.remove(w)
	b.mu.Unlock()
	// A time that is over counts before a signal, futex(2).
	if err == SleepInterrupted && !deadline.IsZero() && !time.Now().Before(deadline) {
		return unix.ETIMEDOUT
	}
	return err
}

// FutexWake wakes up to n waiters at addr that wait with one of bits, and tells how many. As in Linux, n below 1 is 1.
func (p *Process) FutexWake(addr uint64, n int, bits uint32) (int, error) {
	if bits == 0 {
		return 0, unix.EINVAL
	}
	if err := futexAddr(addr); err != nil {
		return 0, err
	}
	word := p.Space.Word(addr)
	b := p.family.futexes.bucket(word)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wake(word, max(n, 1), bits), nil
}

// lockTwo locks the buckets of two futexes, which may be the same, in the order of the table.
func (f *futexTable) lockTwo(word, word2 mm.Word) (b, b2 *futexBucket, unlock func()) {
	h, h2 := futexIndex(word.Offset()), futexIndex(word2.Offset())
	b, b2 = &f.buckets[h], &f.buckets[h2]
	switch {
	case h == h2:
		b.mu.Lock()
		return b, b2, b.mu.Unlock
	case h < h2:
		b.mu.Lock()
		b2.mu.Lock()
	default:
		b2.mu.Lock()
		b.mu.Lock()
	}
	return b, b2, func() { b.mu.Unlock(); b2.mu.Unlock() }
}

// FutexRequeue wakes up to wake waiters at addr and moves up to move others to addr2. With compare not nil, the
// word at addr must be *compare (else unix.EAGAIN). It tells how many it has woken and moved.
func (p *Process) FutexRequeue(addr, addr2 uint64, wake, move int, compare *uint32) (woken, moved int, err error) {
	if err := futexAddr(addr | addr2); err != nil {
		return 0, 0, err
	}
	if wake < 0 || move < 0 {
		return 0, 0, unix.EINVAL
	}
	word, word2 := p.Space.Word(addr), p.Space.Word(addr2)
	b, b2, unlock := p.family.futexes.lockTwo(word, word2)
	defer unlock()
	if compare != nil {
		now, err := p.Space.LoadUint32(addr)
		if err != nil {
			return 0, 0, err
		}
		if now != *compare {
			return 0, 0, unix.EAGAIN
		}
	}
	woken = b.wake(word, wake, futexAnyBits)
	for w := b.first; w != nil && moved < move; {
		next := w.next
		if w.word == word {
			if word != word2 {
				b.unlink(w)
				w.word = word2
				b2.insert(w)
			}
			moved++
		}
		w = next
	}
	return woken, moved, nil
}
