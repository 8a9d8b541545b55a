package e1000

import (
	"runtime"
	"sync"

	"wick/kernel/hw"
	"wick/packet"
)

// rxRing is the receive ring.
//
// The card owns the descriptors from RDH to RDT-1. The one at RDT is never filled, so that RDH =
// RDT means that it owns none [8254x 3.2.6].
type rxRing struct {
	ring
	mu          sync.Mutex // of all that follows; the receiver runs with it
	descriptors []rxDesc
	next        int    // descriptor that the card fills next
	tail        int    // what RDT holds
	owed        int    // descriptors before next that haven't been given back
	batch       int    // how many are given back at once: see giveBack
	taken       uint64 // descriptors in all
	inFrame     bool   // the descriptors up to the next EOP belong to a frame that has been dropped
}

func (r *rxRing) init(memory hw.Allocator, size int) error {
	if size == 0 {
		size = defaultRxDescriptors
	}
	table, err := r.alloc(memory, size)
	if err != nil {
		return err
	}
	r.batch = size / 8
	r.tail = size - 1
	r.descriptors = hw.View[rxDesc](table)
	for i := range r.descriptors {
		r.descriptors[i].address.Store(r.bufferAddr(i))
	}
	return nil
}

// Attach sets the function that gets each received frame. It runs on one goroutine at a time, and the frame is valid only until
// it returns. With nil, frames are dropped.
func (d *Device) Attach(receive func(frame []byte)) {
	if receive == nil {
		d.AttachOffload(nil, nil)
		return
	}
	d.AttachOffload(func(frame []byte, _ packet.Checksum) { receive(frame) }, func() {})
}

// AttachOffload is Attach for a function that is also told what the card knows of the checksum: nothing, as QEMU's card always
// sets IXSM, Ignore Checksum Indication [8254x 3.2.3.1]. When the ring is empty, batchEnd is called.
func (d *Device) AttachOffload(receive func(frame []byte, checksum packet.Checksum), batchEnd func()) {
	if receive == nil {
		d.receiver.Store(nil)
	} else {
		d.receiver.Store(&receiver{receive, batchEnd})
	}
	d.start.Do(func() {
		go d.run()
		go d.watch()
	})
}

// receiver is who gets the frames.
type receiver struct {
	receive  func(frame []byte, checksum packet.Checksum)
	batchEnd func()
}

// Screen sets the function that is asked first why a received frame is to be dropped: "" if it isn't. It runs where that of
// Attach does.
func (d *Device) Screen(screen func(frame []byte) (drop string)) { d.screen.Store(&screen) }

// run is the receiving goroutine.
func (d *Device) run() {
	defer close(d.done)
	d.updateLink()
	for {
		d.service()
		if d.err = d.interrupt.Unmask(); d.err != nil {
			break
		}
		if d.err = d.interrupt.Wait(); d.err != nil {
			d.service() // what came before the end
			break
		}
		d.counters.add(Interrupts, 1)
	}
	close(d.ended)
	<-d.watched
}

// service does what the card has asked for. The causes are cleared before the ring is looked at: a
// frame that comes later sets one again, and with it the interrupt once it is unmasked. What the
// causes are matters only for the link, so that a lost or false one does no harm.
func (d *Device) service() {
	for {
		if load(d, regICR)&causeLSC != 0 {
			d.updateLink()
		}
		d.rx.mu.Lock()
		some := d.drainLocked()
		d.rx.mu.Unlock()
		if !some {
			return
		}
		// Let those run who got the frames, then look for more: under load that is
		// cheaper than another interrupt.
		runtime.Gosched()
	}
}

// drainLocked takes all received frames out of the ring and gives the descriptors back. It tells whether
// there were any.
func (d *Device) drainLocked() bool {
	r := &d.rx
	some := false
	for {
		descriptor := &r.descriptors[r.next]
		w := rxWriteback(descriptor.writeback.Load())
		if !w.done() {
			break
		}
		some = true
		d.accept(w, r.buffer(r.next))
		descriptor.writeback.Store(0)
		r.next = r.after(r.next)
		r.taken++
		if r.owed++; r.owed >= r.batch && !r.exhausted() {
			d.giveBack()
		}
	}
	if r.owed >= r.batch || r.owed > 0 && r.exhausted() {
		d.giveBack()
	}
	if to := d.receiver.Load(); some && to != nil {
		to.batchEnd()
	}
	return some
}

// exhausted tells whether the card has filled all descriptors that it owned. QEMU then queues frames, and at the next
// store of RDT it delivers those for which there are descriptors, and throws all others away
// (qemu_net_queue_flush goes on when the card refuses a frame). So it must get many at once.
func (r *rxRing) exhausted() bool {
	last := r.tail - 1
	if last < 0 {
		last = r.size - 1
	}
	return rxWriteback(r.descriptors[last].writeback.Load()).done()
}

// giveBack lets the card fill all descriptors before next but one. Each store of RDT is an exit to the hypervisor, and wakes QEMU's
// main loop, which looks at all that it waits for; so a few descriptors stay with the driver meanwhile.
func (d *Device) giveBack() {
	r := &d.rx
	r.owed = 0
	r.tail = r.next - 1
	if r.tail < 0 {
		r.tail = r.size - 1
	}
	store(d, regRDT, raw(r.tail))
}

// accept hands a frame on, or drops it. Nothing that the card says is believed unchecked.
func (d *Device) accept(w rxWriteback, buffer []byte) {
	length := w.length()
	continued := d.rx.inFrame
	d.rx.inFrame = !w.endOfPacket()
	if continued {
		return // the frame was dropped with its first descriptor
	}
	frame := buffer[:min(length, len(buffer))]
	switch bad := w.errors() & rxBad; {
	case bad != 0:
		d.countErrors(bad)
		d.dropReceived(RxErrors, w, frame)
	case !w.endOfPacket():
		d.dropReceived(RxNoEOP, w, frame)
	case length > len(buffer):
		d.dropReceived(RxBadLength, w, nil)
	case length < headerSize:
		d.dropReceived(RxRunt, w, frame)
	case length > maxFrame:
		d.dropReceived(RxOversized, w, frame)
	default:
		d.handOn(w, frame)
	}
}

// handOn gives a good frame to the receiver. It may be shorter than the 60 bytes that Ethernet
// demands: peers on a virtual wire don't all pad, and a real card marks a fragment by CE.
func (d *Device) handOn(w rxWriteback, frame []byte) {
	to := d.receiver.Load()
	if to == nil {
		d.dropReceived(RxNoReceiver, w, frame)
		return
	}
	if screen := d.screen.Load(); screen != nil {
		if why := (*screen)(frame); why != "" {
			d.counters.add(RxScreened, 1)
			d.tellReceived(w, frame, why)
			return
		}
	}
	d.tellReceived(w, frame, "")
	d.counters.add(RxFrames, 1)
	d.counters.add(RxBytes, len(frame))
	to.receive(frame, packet.ChecksumUnknown)
}

// dropReceived counts a received frame as dropped.
func (d *Device) dropReceived(why Counter, w rxWriteback, frame []byte) {
	d.counters.add(why, 1)
	d.tellReceived(w, frame, why.String())
}

// tellReceived tells the tap of a frame.
func (d *Device) tellReceived(w rxWriteback, frame []byte, drop string) {
	if d.tap != nil {
		d.tap(packet.Frame{Direction: packet.Receive, WireLen: w.length(), Data: frame, RxErrors: uint8(w.errors()), Drop: drop})
	}
}

func (d *Device) countErrors(bad rxErrors) {
	for _, c := range [...]struct {
		bit     rxErrors
		counter Counter
	}{
		{rxCE, RxErrorCE}, {rxSE, RxErrorSE}, {rxSEQ, RxErrorSEQ}, {rxCXE, RxErrorCXE}, {rxRXE, RxErrorRXE},
	} {
		if bad&c.bit != 0 {
			d.counters.add(c.counter, 1)
		}
	}
}
