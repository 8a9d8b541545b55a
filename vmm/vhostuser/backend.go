package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// Backend is a device's side of one connection with a front-end.
type Backend struct {
	// HandshakeTime is how long the front-end may take, from Serve on, until it says that it owns the device, which QEMU does at
	// once; 0: no bound. What comes then depends on the guest.
	HandshakeTime time.Duration

	device Device
	conn   *net.UnixConn
	queues []*Queue

	features uint64 // acknowledged by the guest, as protocol; touched by Serve only
	protocol uint64

	memory *Memory // changed with all queues' locks held, so that one suffices to read it

	mu     sync.Mutex
	kicks  []*os.File    // guarded by mu: the queues' eventfds, for Wake
	broken error         // guarded by mu: why a ring has stopped
	told   chan struct{} // guarded by mu: closed when the device knows of it; nil before the first time
}

// New returns a Backend for a device. conn is its own from then on.
func New(conn *net.UnixConn, d Device) *Backend {
	b := &Backend{device: d, conn: conn, memory: new(Memory), kicks: make([]*os.File, d.Queues())}
	for i := range d.Queues() {
		b.queues = append(b.queues, &Queue{Index: i, backend: b})
	}
	return b
}

// Queue returns one of the device's queues.
func (b *Backend) Queue(i int) *Queue { return b.queues[i] }

// Serve does what the front-end says until it closes the connection, which is no error. When it returns, the queues have
// stopped and the guest's memory is not mapped any more.
func (b *Backend) Serve() error {
	defer b.conn.Close()
	err := b.serve()
	b.lockQueues()
	for _, q := range b.queues {
		q.stopLocked()
		q.setCallLocked(nil)
	}
	b.memory.close()
	b.unlockQueues()
	b.awaitTold()
	b.device.Stopped(err)
	return err
}

func (b *Backend) serve() error {
	if b.HandshakeTime > 0 {
		b.conn.SetReadDeadline(time.Now().Add(b.HandshakeTime))
	}
	for {
		m, err := receive(b.conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: it did not take the device in %v", ErrProtocol, b.HandshakeTime)
		}
		if err == nil {
			err = catchFault(func() error { return b.handle(m) })
			m.closeFiles()
		}
		if closed(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// closed tells whether an error is that the connection has been closed at either end, when something was to be read or answered.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Close ends Serve.
func (b *Backend) Close() error { return b.conn.Close() }

// handle does what a message says and answers it.
func (b *Backend) handle(m *message) error {
	switch m.request {
	case getFeatures:
		return replyU64(b.conn, m.request, transportFeatures|b.device.Features())
	case getProtocolFeatures:
		return replyU64(b.conn, m.request, protocolFeatures)
	case getQueueNum:
		return replyU64(b.conn, m.request, uint64(len(b.queues)))
	case getConfig:
		return b.getConfig(m)
	case getVringBase:
		return b.getVringBase(m)
	}
	err := b.set(m)
	if m.flags&flagNeedReply == 0 || b.protocol&protocolReplyAck == 0 {
		return err
	}
	if err != nil {
		replyU64(b.conn, m.request, 1) // err tells more than what comes of it
		return err
	}
	return replyU64(b.conn, m.request, 0)
}

// set does what a message says that asks for nothing.
func (b *Backend) set(m *message) (err error) {
	switch m.request {
	case setOwner:
		b.conn.SetReadDeadline(time.Time{})
	case resetOwner:
	case setFeatures:
		if b.features, err = m.u64(); err == nil && b.features&^(transportFeatures|b.device.Features()) != 0 {
			err = fmt.Errorf("%w: features %#x", ErrProtocol, b.features)
		}
	case setProtocolFeatures:
		if b.protocol, err = m.u64(); err == nil && b.protocol&^protocolFeatures != 0 {
			err = fmt.Errorf("%w: protocol features %#x", ErrProtocol, b.protocol)
		}
	case setMemTable:
		err = b.setMemTable(m)
	case setVringNum, setVringBase, setVringEnable:
		err = b.setRing(m)
	case setVringAddr:
		err = b.setVringAddr(m)
	case setVringKick, setVringCall, setVringErr:
		err = b.setDescriptor(m)
	default:
		err = fmt.Errorf("%w: request %d", ErrProtocol, m.request)
	}
	return err
}

// getConfig answers with a part of the configuration space: offset, size and flags, then the bytes.
func (b *Backend) getConfig(m *message) error {
	const header = 12
	if len(m.payload) < header {
		return m.short(header)
	}
	offset, size := binary.NativeEndian.Uint32(m.payload), binary.NativeEndian.Uint32(m.payload[4:])
	config := b.device.Config()
	if uint64(offset)+uint64(size) > uint64(len(config)) {
		return reply(b.conn, m.request, nil) // which says that it can't be had
	}
	return reply(b.conn, m.request, append(m.payload[:header:header], config[offset:offset+size]...))
}

// getVringBase stops a queue and answers with the index of its next entry.
func (b *Backend) getVringBase(m *message) error {
	q, _, err := b.ring(m)
	if err != nil {
		return err
	}
	q.mu.Lock()
	q.stopLocked()
	next := q.nextAvail
	q.mu.Unlock()
	b.awaitTold()
	b.device.Stopped(nil)
	answer := binary.NativeEndian.AppendUint32(nil, uint32(q.Index))
	return reply(b.conn, m.request, binary.NativeEndian.AppendUint32(answer, uint32(next)))
}

// ring returns the queue and the value of a message.
func (b *Backend) ring(m *message) (*Queue, uint32, error) {
	index, value, err := m.state()
	if err == nil && index >= uint32(len(b.queues)) {
		err = fmt.Errorf("%w: queue %d of %d", ErrProtocol, index, len(b.queues))
	}
	if err != nil {
		return nil, 0, err
	}
	return b.queues[index], value, nil
}

func (b *Backend) setRing(m *message) error {
	q, value, err := b.ring(m)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch m.request {
	case setVringNum:
		if value == 0 || value > maxQueueSize || value&(value-1) != 0 {
			return fmt.Errorf("%w: a ring of %d entries", ErrProtocol, value)
		}
		q.size = uint16(value)
	case setVringBase:
		q.nextAvail = uint16(value)
	case setVringEnable:
		q.enabled = value != 0
	}
	return q.runLocked()
}

// setVringAddr takes the places of a ring: index, flags, then descriptors, used and available ring.
func (b *Backend) setVringAddr(m *message) error {
	const size = 40
	q, _, err := b.ring(m)
	if err == nil && len(m.payload) < size {
		err = m.short(size)
	}
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addr.d = binary.NativeEndian.Uint64(m.payload[8:])
	q.addr.u = binary.NativeEndian.Uint64(m.payload[16:])
	q.addr.a = binary.NativeEndian.Uint64(m.payload[24:])
	return q.runLocked()
}

// setDescriptor takes an eventfd of a queue. Bit 8 of the number says that there is none.
func (b *Backend) setDescriptor(m *message) error {
	value, err := m.u64()
	if err != nil {
		return err
	}
	const none = 1 << 8
	index := value & (none - 1)
	if index >= uint64(len(b.queues)) {
		return fmt.Errorf("%w: queue %d of %d", ErrProtocol, index, len(b.queues))
	}
	var file *os.File
	if value&none == 0 {
		if file, err = m.takeFile(); err != nil {
			return err
		}
	}
	q := b.queues[index]
	q.mu.Lock()
	defer q.mu.Unlock()
	switch m.request {
	case setVringCall:
		q.setCallLocked(file)
		return nil
	case setVringErr: // errors are told to the user of this program: QEMU does nothing with them
		if file != nil {
			file.Close()
		}
		return nil
	}
	if file == nil {
		return fmt.Errorf("%w: queue %d is to be polled", ErrProtocol, index)
	}
	q.startLocked(file)
	return q.runLocked()
}

// setMemTable maps the guest's memory. Queues that run find their rings in it again.
func (b *Backend) setMemTable(m *message) error {
	memory, err := mapTable(m.payload, m.files)
	if err != nil {
		return err
	}
	b.lockQueues()
	defer b.unlockQueues()
	b.memory.close()
	b.memory = memory
	for _, q := range b.queues {
		q.desc = nil
		err = errors.Join(err, q.runLocked())
	}
	return err
}

func (b *Backend) lockQueues() {
	for i := len(b.queues) - 1; i >= 0; i-- {
		b.queues[i].mu.Lock()
	}
}

func (b *Backend) unlockQueues() {
	for _, q := range b.queues {
		q.mu.Unlock()
	}
}

// fail stops the queues after the guest has broken one, whose lock is held: so the guest can't have reset it since. The first
// reason is told to the device; a reset by the guest makes a new start.
func (b *Backend) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return
	}
	b.broken = err
	told := make(chan struct{})
	b.told = told
	// Whoever found it may hold locks of the device's: it hears of it from a goroutine that holds none.
	go func() {
		defer close(told)
		for _, q := range b.queues {
			q.mu.Lock() // what was taking chains of it has ended
			q.mu.Unlock()
		}
		b.device.Stopped(err)
	}()
}

// awaitTold waits until the device knows of a ring that is broken: it must not take the news for that of what comes after a reset.
func (b *Backend) awaitTold() {
	b.mu.Lock()
	told := b.told
	b.mu.Unlock()
	if told != nil {
		<-told
	}
}

func (b *Backend) isBroken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken != nil
}

// guarded calls f with the queue's lock, unless a queue is broken. After an error no queue runs any more.
func (q *Queue) guarded(f func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.backend.isBroken() {
		return
	}
	if err := catchFault(f); err != nil {
		q.desc = nil
		q.backend.fail(fmt.Errorf("queue %d: %w", q.Index, err))
	}
}

// catchFault calls f, which touches the guest's memory: if the front-end has shortened the files of it, that raises
// SIGBUS.
func catchFault(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // as SetPanicOnFault documents
			err = fmt.Errorf("%w: the guest's memory at %#x has gone", ErrProtocol, r.Addr())
		default:
			panic(r)
		}
	}()
	return f()
}

// runLocked lets the queue run if all that it needs is there.
func (q *Queue) runLocked() (err error) {
	b := q.backend
	if b.features&featureProtocol == 0 {
		q.enabled = true
	}
	if !q.enabled || q.kick == nil || q.size == 0 || len(b.memory.regions) == 0 {
		q.desc = nil
		return nil
	}
	if q.desc != nil {
		return nil
	}
	n := uint64(q.size)
	if q.avail, err = b.memory.userSlice("available ring", q.addr.a, ringHeader+availElement*n+eventSize, 2); err != nil {
		return err
	}
	if q.used, err = b.memory.userSlice("used ring", q.addr.u, ringHeader+usedElement*n+eventSize, ringAlignment); err != nil {
		return err
	}
	if q.desc, err = b.memory.userSlice("descriptors", q.addr.d, descSize*n, descSize); err != nil {
		return err
	}
	q.eventIdx = b.features&featureEventIdx != 0
	q.nextUsed = uint16(word(q.used).Load() >> 16)
	q.told = q.nextUsed
	q.quiet = true       // perhaps: the flag may be left from before, so listen has to clear it
	q.kick.Write(one[:]) // what is there may have come without a kick
	return nil
}

// startLocked takes the eventfd of a queue and begins to wait for it.
func (q *Queue) startLocked(kick *os.File) {
	q.stopLocked()
	q.kick = kick
	b := q.backend
	b.mu.Lock()
	b.kicks[q.Index], b.broken = kick, nil
	b.mu.Unlock()
	go func() {
		var count [8]byte
		for {
			_, err := kick.Read(count[:])
			if errors.Is(err, os.ErrDeadlineExceeded) { // see Queue.lookAgain
				kick.SetReadDeadline(time.Time{})
			} else if err != nil {
				return // closed by stopLocked
			}
			b.device.Kick(q)
		}
	}()
}

// stopLocked stops the queue.
func (q *Queue) stopLocked() {
	q.desc = nil
	if q.kick == nil {
		return
	}
	b := q.backend
	b.mu.Lock()
	b.kicks[q.Index] = nil
	b.mu.Unlock()
	q.kick.Close()
	q.kick = nil
}

func (q *Queue) setCallLocked(call *os.File) {
	if q.call != nil {
		q.call.Close()
	}
	q.call = call
}
