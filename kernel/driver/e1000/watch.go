package e1000

import "time"

// watch looks for lost interrupts: after one, the card would never interrupt again, as its causes are not cleared. Linux's driver
// has the card interrupt every two seconds for the same reason.
func (d *Device) watch() {
	defer close(d.watched)
	ticker := time.NewTicker(d.check)
	defer ticker.Stop()
	var last look
	for {
		select {
		case <-ticker.C:
		case <-d.ended:
			return
		}
		now, lost := d.lookForLost(last)
		last = now
		if lost {
			d.counters.add(InterruptsLost, 1)
			d.service()
			d.interrupt.Unmask() // an error is the receiving goroutine's to see
		}
	}
}

// look is what watch has seen of the receive ring.
type look struct {
	at      time.Time
	taken   uint64 // descriptors in all
	pending bool   // there was something to be taken
}

// lookForLost tells whether what has been in the ring at the last look is still there. Looks that come too soon after each other
// don't count: where a long reception has kept one from the ring, the next is due at once, while the interrupt of a frame that has
// just come is still on its way.
func (d *Device) lookForLost(last look) (now look, lost bool) {
	r := &d.rx
	r.mu.Lock()
	defer r.mu.Unlock()
	now = look{time.Now(), r.taken, rxWriteback(r.descriptors[r.next].writeback.Load()).done()}
	if !now.pending || !last.pending || now.taken != last.taken {
		return now, false
	}
	if now.at.Sub(last.at) < d.check/2 {
		return last, false
	}
	return now, true
}
