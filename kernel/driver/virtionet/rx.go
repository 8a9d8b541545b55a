package virtionet

import (
	"runtime"
	"sync"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/hw"
	"wick/packet"
)

// rxQueue is the receive queue: buffers of 2 KiB, each with a frame or a part of one behind a header.
type rxQueue struct {
	mu      sync.Mutex // held by the receiving goroutine while it looks at the queue
	queue   *virtio.Queue
	merge   bool // a frame may come in several buffers
	addr    uint64
	buffers []byte
	batch   int    // how many buffers are given back at once
	owed    int    // guarded by mu; buffers that haven't been
	seen    uint64 // guarded by mu; buffers taken in all, for the search for lost interrupts
	ended   bool   // guarded by mu; the card isn't used any more

	// The frame that is put together of several buffers. guarded by mu
	parts  int    // buffers that are still to come
	frame  []byte // header and data so far; its memory is there from the first such frame on
	length int    // of the frame with its header, also if that is too much for frame
}

func (r *rxQueue) init(d *virtio.Device, memory hw.Memory, size int) (err error) {
	if size == 0 {
		size = defaultRxBuffers
	}
	if r.queue, err = d.NewQueue(receiveQueue, virtio.QueueConfig{Size: size, Segments: 1}); err != nil {
		return err
	}
	size = r.queue.Size()
	m, err := memory.AllocDMA(size * bufferSize)
	if err != nil {
		return err
	}
	r.addr, r.buffers = m.Addr, m.Data
	r.merge = d.Features().Has(featureMrgRxbuf)
	r.batch = max(size/8, 1)
	for i := range size {
		if err := r.give(i); err != nil {
			return err
		}
	}
	return nil
}

// give adds a buffer to the queue.
func (r *rxQueue) give(i int) error {
	return r.queue.Add(i, nil, []virtio.Segment{{Addr: r.addr + uint64(i*bufferSize), Len: bufferSize}})
}

// Attach sets the function that gets each received frame. It runs on the receiving goroutine, and the
// frame is valid only until it returns. With nil, frames are dropped.
func (d *Device) Attach(receive func(frame []byte)) {
	if receive == nil {
		d.AttachOffload(nil, nil)
		return
	}
	d.AttachOffload(func(frame []byte, _ packet.Checksum) { receive(frame) }, func() {})
}

// AttachOffload is Attach for a function that is also told what is known of the checksum. When the queue is empty, batchEnd is
// called.
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
	first := true
	err := d.device.Serve(func(config bool) error {
		if !first {
			d.counters.add(Interrupts, 1)
		}
		first = false
		return d.service(config)
	})
	if d.stopped.Load() && d.broken.Load() == nil {
		err = d.service(false) // what came before the end
	}
	if err != nil {
		d.fail(err) // or it was what has ended the interrupts
		d.err = *d.broken.Load()
	}
	d.stopTransmit()
	d.rx.mu.Lock()
	d.rx.ended = true
	d.rx.mu.Unlock()
	if err := d.device.Reset(); d.err == nil {
		d.err = err
	}
	if d.err != nil {
		d.device.Fail()
		d.setLink(false)
	}
}

// service does what the card has asked for.
func (d *Device) service(config bool) error {
	if config {
		up, err := d.carrier()
		if err != nil {
			return err
		}
		d.setLink(up)
	}
	d.rx.mu.Lock()
	defer d.rx.mu.Unlock()
	return d.drainLocked()
}

// drainLocked takes all received frames out of the queue, until there are none and the next one interrupts.
func (d *Device) drainLocked() error {
	r := &d.rx
	for {
		r.queue.DisableInterrupts()
		some, err := d.takeLocked()
		if to := d.receiver.Load(); some && to != nil {
			to.batchEnd()
		}
		if err != nil {
			return err
		}
		if !some && !r.queue.EnableInterrupts() {
			return nil
		}
		// Let those run who got the frames, then look for more: under load that is
		// cheaper than another interrupt.
		runtime.Gosched()
	}
}

// takeLocked takes what is in the queue and gives the buffers back. It tells whether there was anything.
func (d *Device) takeLocked() (some bool, err error) {
	r := &d.rx
	for {
		u, ok, err := r.queue.Take()
		if err != nil {
			return some, err
		}
		if !ok {
			break
		}
		some = true
		r.seen++
		d.acceptLocked(r.buffers[u.Token*bufferSize:][:u.Written])
		if err := r.give(u.Token); err != nil {
			return some, err
		}
		if r.owed++; r.owed >= r.batch {
			r.giveBack()
		}
	}
	if r.owed > 0 {
		r.giveBack()
	}
	return some, nil
}

// giveBack tells the card of the buffers that have been added.
func (r *rxQueue) giveBack() {
	r.owed = 0
	r.queue.Publish()
}

// acceptLocked takes one buffer: a whole frame, the first part of one, or another. Nothing that the card says is believed
// unchecked.
func (d *Device) acceptLocked(b []byte) {
	r := &d.rx
	if r.parts > 0 {
		r.append(b)
		if r.parts == 0 {
			d.frameLocked(r.frame, r.length)
		}
		return
	}
	if len(b) < headerSize {
		f := receivedFrame(nil, 0)
		f.Damage = packet.DamageShortHeader
		d.dropReceived(RxShortHeader, f)
		return
	}
	if n := header(b).numBuffers(); r.merge && n != 1 {
		if n < 1 || n > r.queue.Size() {
			d.dropReceived(RxBadBuffers, receivedFrame(b[headerSize:], len(b)-headerSize))
			return
		}
		if r.frame == nil {
			r.frame = make([]byte, 0, headerSize+maxSegment)
		}
		r.frame, r.length, r.parts = r.frame[:0], 0, n
		r.append(b)
		return
	}
	d.frameLocked(b, len(b))
}

// append puts another buffer behind the parts of a frame, as far as it fits.
func (r *rxQueue) append(b []byte) {
	r.parts--
	r.length += len(b)
	r.frame = append(r.frame, b[:min(len(b), cap(r.frame)-len(r.frame))]...)
}

// frameLocked takes a frame, with its header, of which there are length bytes.
func (d *Device) frameLocked(b []byte, length int) {
	h := header(b[:headerSize])
	f := receivedFrame(b[headerSize:], length-headerSize)
	if f.WireLen < ethernetHeader {
		d.dropReceived(RxRunt, f)
		return
	}
	if !d.readOffload(h, &f) {
		d.dropReceived(RxBadOffload, f)
		return
	}
	limit := d.maxFrame()
	if f.Segmented {
		limit = maxSegment
	}
	if f.WireLen > limit {
		d.dropReceived(RxOversized, f)
		return
	}
	d.handOn(h, f)
}

// receivedFrame is a frame as the tap is told of it.
func receivedFrame(data []byte, length int) packet.Frame {
	return packet.Frame{Direction: packet.Receive, WireLen: length, Data: data}
}

// readOffload puts into a frame what the header says of its checksum and its segments; it tells whether that can be and was
// negotiated [virtio 5.1.6.4.2]. The frame has an Ethernet header at least.
func (d *Device) readOffload(h header, frame *packet.Frame) bool {
	f := d.device.Features()
	checksum := packet.ChecksumUnknown
	switch {
	case h.flags()&flagNeedsCsum != 0:
		if !f.Has(featureGuestCSUM) || h.checksumStart()+h.checksumOffset()+2 > frame.WireLen {
			return false
		}
		checksum = packet.ChecksumOffload
	case h.flags()&flagDataValid != 0 && f.Has(featureGuestCSUM):
		checksum = packet.ChecksumVerified
	}
	needs, etherType, networkHeader := featureGuestTSO4, uint16(packet.EtherTypeIPv4), packet.IPv4Size
	switch h.gsoType() {
	case gsoNone:
		frame.Checksum = checksum
		return true
	case gsoTCPv4:
	case gsoTCPv6:
		needs, etherType, networkHeader = featureGuestTSO6, packet.EtherTypeIPv6, packet.IPv6Size
	default:
		return false
	}
	if !f.Has(needs) || checksum != packet.ChecksumOffload || h.gsoSize() == 0 ||
		h.checksumStart() < ethernetHeader+networkHeader || h.checksumOffset() != tcpChecksum {
		return false
	}
	switch packet.Ethernet(frame.Data).Type() {
	case etherType, packet.EtherTypeVLAN, packet.EtherTypeQinQ: // what is behind a tag isn't looked at
	default:
		return false
	}
	frame.Checksum, frame.Segmented = checksum, true
	return true
}

// handOn gives a good frame to the receiver.
func (d *Device) handOn(h header, f packet.Frame) {
	to := d.receiver.Load()
	if to == nil {
		d.dropReceived(RxNoReceiver, f)
		return
	}
	if screen := d.screen.Load(); screen != nil {
		f.Drop = (*screen)(f.Data)
	}
	if d.tap != nil {
		d.tap(f)
	}
	if f.Drop != "" {
		d.counters.add(RxScreened, 1)
		return
	}
	d.counters.add(RxFrames, 1)
	d.counters.add(RxBytes, f.WireLen)
	if f.Segmented {
		d.counters.add(RxSegments, 1)
	}
	if d.rx.merge && h.numBuffers() > 1 {
		d.counters.add(RxMerged, 1)
	}
	to.receive(f.Data, f.Checksum)
}

// dropReceived counts a received frame as dropped.
func (d *Device) dropReceived(why Counter, f packet.Frame) {
	d.counters.add(why, 1)
	if d.tap != nil {
		f.Drop = why.String()
		d.tap(f)
	}
}

// watch looks for lost interrupts: after one, a card with event indices would never interrupt again.
func (d *Device) watch() {
	ticker := time.NewTicker(d.check)
	defer ticker.Stop()
	var last look
	for {
		select {
		case <-ticker.C:
		case <-d.done:
			return
		}
		last = d.lookForLost(last)
	}
}

// look is what watch has seen of the queue.
type look struct {
	at      time.Time
	seen    uint64 // buffers taken in all
	pending bool   // there was something to be taken
}

// lookForLost does the work of the receiving goroutine if what has been in the queue at the last look is still there. Looks
// that come too soon after each other don't count: where a long reception has kept one from the queue, the next is due at
// once, while the interrupt of a frame that has just come is still on its way.
func (d *Device) lookForLost(last look) look {
	d.rx.mu.Lock()
	defer d.rx.mu.Unlock()
	now := look{time.Now(), d.rx.seen, d.rx.queue.Pending()}
	if !now.pending || !last.pending || now.seen != last.seen || d.rx.ended {
		return now
	}
	if now.at.Sub(last.at) < d.check/2 {
		return last
	}
	d.counters.add(InterruptsLost, 1)
	if err := d.drainLocked(); err != nil {
		d.fail(err)
	}
	return now
}
