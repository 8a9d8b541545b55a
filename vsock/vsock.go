// Package vsock is the protocol of virtio-vsock sockets [virtio 5.10], one state machine for guest and host: it takes the
// packets that come, makes those that go, and keeps the connections between them. What carries the packets, and what
// waits for connections, is elsewhere.
//
// # The protocol in short
//
// An address is a context identifier, the CID, and a port. A stream is asked for by REQUEST, and answered by RESPONSE or
// by RST. Data goes in RW packets. Nothing is acknowledged and nothing is repeated: rings lose nothing. What remains is
// that a receiver must not be flooded:
//
//	sender                                           receiver
//	RW, 100 bytes                   ---------------> 100 bytes in a buffer of buf_alloc bytes
//	                                                 the program reads 60
//	free = buf_alloc - (sent - fwd_cnt)  <---------- CREDIT_UPDATE, fwd_cnt = 60
//
// Each packet tells its sender's buf_alloc and fwd_cnt, the bytes that have left its buffer since the connection began,
// modulo 2³². A sender never has more on its way than free. SHUTDOWN ends one direction or both: its flags say that the
// sender will not receive or will not send any more. When both are said, the other end answers with RST, and the
// connection is gone. RST at any other time ends it at once.
//
// # The state machine
//
//	              Connect                     REQUEST comes
//	                 |                              |
//	                 v                              v
//	            connecting                      requested
//	    RESPONSE |      | RST, time-out     Accept |    | Refuse, RST
//	             v      |                          v    |
//	           established <-----------------------+    |
//	   Close |      | RST, Reset,                       |
//	         v      | SHUTDOWN of both, a violation     |
//	      closing   |                                   |
//	RST, time-out | |                                   |
//	              v v                                   |
//	              closed <------------------------------+
//
// A peer may give up a REQUEST and ask again from the same port, in good order by RST or, as Linux does, without a word: what was
// requested is closed then, and requested anew. If it was stopped meanwhile, it gets a RESPONSE for each.
//
// A peer that breaks the rules loses the connection, by RST, and nothing else: see ErrProtocol.
package vsock

import (
	"errors"
	"strconv"
)

// CIDs with a meaning of their own [virtio 5.10.4, vsock(7)].
const (
	Hypervisor uint32 = 0
	Local      uint32 = 1 // this machine, whichever it is
	Host       uint32 = 2
	Any        uint32 = 1<<32 - 1 // for binding: all of this machine's; never in a packet
)

// MinGuest and MaxGuest bound the CIDs that a guest may have.
const (
	MinGuest uint32 = 3
	MaxGuest uint32 = Any - 1
)

// AnyPort binds a socket to a free port [vsock(7)]. It is no port of a packet.
const AnyPort uint32 = 1<<32 - 1

// Addr is the address of one end of a connection.
type Addr struct{ CID, Port uint32 }

// String returns a as in "host(2):1024".
func (a Addr) String() string {
	name := "guest"
	switch a.CID {
	case Hypervisor:
		name = "hypervisor"
	case Local:
		name = "local"
	case Host:
		name = "host"
	case Any:
		name = "any"
	}
	port := "any"
	if a.Port != AnyPort {
		port = strconv.FormatUint(uint64(a.Port), 10)
	}
	return name + "(" + strconv.FormatUint(uint64(a.CID), 10) + "):" + port
}

// Network returns "vsock". With String it makes Addr a net.Addr.
func (a Addr) Network() string { return "vsock" }

// Why a connection is not, or no more.
var (
	ErrRefused   = errors.New("vsock: connection refused")            // the peer has answered REQUEST with RST
	ErrTimeout   = errors.New("vsock: no answer in time")             // the peer has not answered REQUEST
	ErrReset     = errors.New("vsock: connection reset by peer")      // RST before the end was agreed on
	ErrAborted   = errors.New("vsock: connection aborted")            // by Reset at this end
	ErrTransport = errors.New("vsock: all connections were reset")    // the rings were, at either end
	ErrProtocol  = errors.New("vsock: peer violates the protocol")    // wrapped in what it has done
	ErrInUse     = errors.New("vsock: address already in use")        // there is a connection between these ports
	ErrTooMany   = errors.New("vsock: too many connections")          // see Config.MaxConns
	ErrShutdown  = errors.New("vsock: this direction is shut down")   // writing after a shutdown
	ErrNotYet    = errors.New("vsock: connection not established")    // it may be later, or is refused
	ErrWait      = errors.New("vsock: nothing to be done at present") // the hook of Notify tells when to try again
	ErrSmall     = errors.New("vsock: no room for a packet")          // a buffer is no longer than a header
	ErrMalformed = errors.New("vsock: no packet")                     // what has come is shorter than a header
)
