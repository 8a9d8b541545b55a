// Package uart drives the serial port of a PC, a 16550A, by National Semiconductor's "PC16550D Universal
// Asynchronous Receiver/Transmitter with FIFOs", June 1995, cited as [16550].
//
// One goroutine answers the interrupt: it moves received bytes into a buffer, and wakes who waits to
// send. Each access to a port is an exit to the hypervisor, so sending looks at the line
// status once for 16 bytes, and receiving once for what is behind the trigger level.
//
// Locks: txMu before mu.
package uart

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"wick/kernel/hw"
)

// Base ports and interrupt lines of a PC's serial ports.
const (
	COM1    uint16 = 0x3F8
	COM1IRQ uint8  = 4
	COM2    uint16 = 0x2F8
	COM2IRQ uint8  = 3
)

// ErrAbsent says that there is no serial port.
var ErrAbsent = errors.New("uart: no serial port")

// bufferSize is the size of the receive buffer in bytes.
const bufferSize = 4096

// UART is one serial port: an io.ReadWriter of bytes. One goroutine may read and several write at a time.
type UART struct {
	ports     hw.Ports
	strings   hw.StringPorts // the same ports, or nil if they can't
	base      uint16
	interrupt hw.Interrupt
	depth     int // bytes that may be sent once the transmitter is empty

	overruns atomic.Uint64
	errors   atomic.Uint64

	mu      sync.Mutex
	enabled ier              // guarded by mu; what IER holds
	buffer  [bufferSize]byte // guarded by mu; a ring
	start   int              // guarded by mu
	count   int              // guarded by mu
	err     error            // guarded by mu; why the interrupt goroutine has ended
	rxReady chan struct{}    // has a token after count or err has changed

	txMu    sync.Mutex    // is held while bytes are sent
	txReady chan struct{} // has a token after the interrupt of an empty transmitter
}

// New sets up the serial port at a base port, and listens from then on. Its error is ErrAbsent.
func New(ports hw.Ports, base uint16, interrupt hw.Interrupt) (*UART, error) {
	u := &UART{
		ports: ports, base: base, interrupt: interrupt,
		rxReady: make(chan struct{}, 1), txReady: make(chan struct{}, 1),
	}
	u.strings, _ = ports.(hw.StringPorts)
	for _, v := range [...]raw{0xA5, 0x5A} {
		if store(u, regSCR, v); load(u, regSCR) != v {
			return nil, ErrAbsent
		}
	}
	u.setUp()
	go u.run()
	return u, nil
}

// setUp sets 115200 baud: an emulator sends faster, but the time after which it tells of fewer than 14 bytes
// is four characters'.
func (u *UART) setUp() {
	store(u, regIER, 0)
	store(u, regLCR, lcrDLAB|lcr8N1)
	store(u, regDLL, 1)
	store(u, regDLM, 0)
	store(u, regLCR, lcr8N1)
	store(u, regFCR, fcrEnable|fcrClearRx|fcrClearTx|fcrLevel14)
	u.depth = 1
	if load(u, regIIR)&iirFIFOs == iirFIFOs {
		u.depth = fifoDepth
	}
	store(u, regMCR, mcrDTR|mcrRTS|mcrOUT2)
	load(u, regLSR)
	load(u, regMSR)
	u.enabled = ierRDI
	store(u, regIER, u.enabled)
}

// Overruns returns how often received bytes were lost because nobody read them in time.
func (u *UART) Overruns() uint64 { return u.overruns.Load() }

// LineErrors returns how many parity, framing and break errors there were.
func (u *UART) LineErrors() uint64 { return u.errors.Load() }

// lineStatus reads LSR, and counts the errors, which are there only once.
func (u *UART) lineStatus() lsr {
	s := load(u, regLSR)
	if s&lsrOE != 0 {
		u.overruns.Add(1)
	}
	if s&(lsrPE|lsrFE|lsrBI) != 0 {
		u.errors.Add(1)
	}
	return s
}

// run answers the interrupt.
//
// The line is an edge on a PC, and an edge while it is masked is lost in an I/O APIC [82093AA 3.2.4]. So
// it is unmasked first, and then served until nothing is pending: what comes later is
// another edge.
func (u *UART) run() {
	for {
		err := u.interrupt.Unmask()
		if err == nil {
			u.service()
			err = u.interrupt.Wait()
		}
		if err != nil {
			u.mu.Lock()
			u.err = err
			u.mu.Unlock()
			wake(u.rxReady)
			return
		}
	}
}

// maxIdle is how many causes in a row may be served without moving a byte, should a broken port have no end of them.
const maxIdle = 64

// service serves all pending causes.
func (u *UART) service() {
	for idle := 0; idle < maxIdle; idle++ {
		cause := load(u, regIIR)
		if cause&iirNone != 0 {
			return
		}
		switch cause & iirID {
		case iirData:
			if u.receive(triggerLevel) > 0 {
				idle = 0
			}
		case iirOld:
			if u.receive(0) > 0 {
				idle = 0
			}
		case iirTHRE: // cleared by having read IIR
			u.mu.Lock()
			u.enableLocked(u.enabled &^ ierTHRI)
			u.mu.Unlock()
			wake(u.txReady)
		case iirStatus:
			u.lineStatus()
		case iirModem:
			load(u, regMSR)
		}
	}
}

// receive moves received bytes into the buffer: known ones, which are there without asking, or, if that is 0, those
// that are there now, a FIFO full at most. It doesn't wait for more: QEMU's port takes one byte at a time
// from the host while the FIFO holds some, but 14 at once when it is empty.
//
// If the buffer is full, the interrupt is disabled until Read has made room, and the rest stays in the port, which
// holds the sender back. It returns how many were moved.
func (u *UART) receive(known int) (moved int) {
	if u.depth == 1 {
		known = 0
	}
	most := known
	if known == 0 {
		most = fifoDepth
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for moved < most {
		if u.count == len(u.buffer) {
			u.enableLocked(u.enabled &^ ierRDI)
			break
		}
		if known == 0 && u.lineStatus()&lsrDR == 0 {
			break
		}
		u.buffer[(u.start+u.count)%len(u.buffer)] = byte(load(u, regRBR))
		u.count++
		moved++
	}
	if moved > 0 {
		wake(u.rxReady)
	}
	return moved
}

// enableLocked sets IER.
func (u *UART) enableLocked(e ier) {
	if e != u.enabled {
		u.enabled = e
		store(u, regIER, e)
	}
}

// Read reads what has been received, and waits if that is nothing. Its error is that of the interrupt.
func (u *UART) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := u.take(p)
		if n > 0 || err != nil {
			return n, err
		}
		<-u.rxReady
	}
}

// take moves bytes from the buffer to p.
func (u *UART) take(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count == 0 {
		return 0, u.err
	}
	n := 0
	for n < len(p) && u.count > 0 {
		moved := copy(p[n:], u.buffer[u.start:min(u.start+u.count, len(u.buffer))])
		u.start = (u.start + moved) % len(u.buffer)
		u.count -= moved
		n += moved
	}
	if u.count <= len(u.buffer)/2 {
		u.enableLocked(u.enabled | ierRDI)
	}
	return n, nil
}

// Write sends p, and waits for the port as long as it takes. There are no errors. It goes on, if slowly, after
// the interrupt has failed, so that last words get out.
func (u *UART) Write(p []byte) (int, error) {
	u.txMu.Lock()
	defer u.txMu.Unlock()
	for sent := 0; sent < len(p); {
		u.waitEmpty()
		chunk := p[sent:min(sent+u.depth, len(p))]
		if u.strings != nil {
			u.strings.OutBytes(u.base+uint16(regTHR), chunk)
		} else {
			for _, b := range chunk {
				store(u, regTHR, raw(b))
			}
		}
		sent += len(chunk)
	}
	return len(p), nil
}

// backup is how long the interrupt of an empty transmitter is waited for before looking again: some ports lose
// it, and at the end of a run it may be off.
const backup = 20 * time.Millisecond

// waitEmpty waits until the transmitter takes bytes again. An emulator has mostly sent them all by the
// time of the next look, so the interrupt is enabled only if it hasn't.
func (u *UART) waitEmpty() {
	for u.lineStatus()&lsrTHRE == 0 {
		u.mu.Lock()
		u.enableLocked(u.enabled | ierTHRI)
		u.mu.Unlock()
		// If it has become empty meanwhile, enabling the interrupt sets it off [16550 8.7].
		timer := time.NewTimer(backup)
		select {
		case <-u.txReady:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Flush waits until all that Write has returned for has left the port. If it hasn't by the deadline, unless that is
// the zero time, the error is os.ErrDeadlineExceeded. There is no interrupt for it.
func (u *UART) Flush(deadline time.Time) error {
	for looks := 0; u.lineStatus()&lsrTEMT == 0; looks++ {
		if !deadline.IsZero() && time.Now().After(deadline) {
			return os.ErrDeadlineExceeded
		}
		if looks < 16 {
			runtime.Gosched()
		} else {
			time.Sleep(100 * time.Microsecond)
		}
	}
	return nil
}

// wake puts a token into c unless there is one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
