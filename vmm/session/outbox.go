package session

import (
	"io"

	"wick/hostlink"
)

// message is a frame on its way to the guest.
type message struct {
	kind    hostlink.Type
	payload []byte
}

// outbox writes frames to the guest, one after another. Writing may block for as long as the
// guest does not read; who has something urgent to say does not wait for that.
type outbox struct {
	first chan message // signals and window sizes
	data  chan message // standard input; unbuffered: a send waits until the frame before is written
}

// maxUrgent is how many urgent frames wait at most. The guest reads them in an interrupt handler:
// if so many wait it is not alive.
const maxUrgent = 16

func (o *outbox) init() {
	o.first = make(chan message, maxUrgent)
	o.data = make(chan message)
}

// urgent queues a frame and tells whether there was room. It never blocks.
func (o *outbox) urgent(kind hostlink.Type, payload []byte) bool {
	select {
	case o.first <- message{kind, payload}:
		return true
	default:
		return false
	}
}

// send hands over a frame of standard input. The payload may be reused when the next send returns.
// It returns false when the session is over.
func (o *outbox) send(kind hostlink.Type, payload []byte, done <-chan struct{}) bool {
	select {
	case o.data <- message{kind, payload}:
		return true
	case <-done:
		return false
	}
}

// run writes until the session is over. A failing write means that the machine has ended: the
// reader of the link finds that out too and ends the session.
func (o *outbox) run(link io.Writer, done <-chan struct{}) {
	w := hostlink.NewWriter(link)
	for {
		var m message
		select {
		case m = <-o.first:
		default:
			select {
			case m = <-o.first:
			case m = <-o.data:
			case <-done:
				return
			}
		}
		if w.WriteFrame(m.kind, m.payload) != nil {
			return
		}
	}
}
