package ground

import "sync/atomic"

// spinlock is a lock for short sections, without a queue: under emulation, and on a busy host, whoever is next in a queue may be a
// CPU that the host doesn't run, and then all behind it wait. See doc.go for what has one, and in which order they are taken.
type spinlock struct{ held uint32 }

// lock takes l. Interrupts are off in ground, so it answers shootdowns while it waits.
func (l *spinlock) lock() {
	for !atomic.CompareAndSwapUint32(&l.held, 0, 1) {
		c := me()
		for atomic.LoadUint32(&l.held) != 0 {
			answerFlush(c)
			pause()
		}
	}
}

func (l *spinlock) unlock() { atomic.StoreUint32(&l.held, 0) }
