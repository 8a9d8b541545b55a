// Package net is the socket layer: AF_INET, AF_INET6 and AF_NETLINK sockets as files, over a TCP/IP
// engine behind a narrow seam, AF_UNIX, and AF_VSOCK over the state machine of package vsock.
package net

import "wick/packet"

// Link is a network card as the stack sees it. Drivers implement it.
type Link interface {
	HardwareAddr() [6]byte
	MTU() int // largest payload of an Ethernet frame, in bytes

	// Transmit sends one Ethernet frame, given in pieces that are its own again when it returns. It waits for no more than
	// the card's being busy: with no room on the card the frame is dropped and counted, and an error says so.
	Transmit(pieces ...[]byte) error

	// Attach sets the function that gets each received frame. It runs on the driver's goroutine; the
	// frame is valid only until it returns.
	Attach(receive func(frame []byte))

	// LinkUp tells whether there is a carrier; changed, if not nil, is called at each change.
	LinkUp() bool
	OnLinkChange(changed func(up bool))
}

// Screener is a Link that asks whether a frame is dropped before it tells of it and hands it on, so that who watches the
// card learns why.
type Screener interface {
	Link
	// Screen sets the function that says why a received frame is dropped, "" if it isn't. It runs where receive does.
	Screen(screen func(frame []byte) (drop string))
}

// Judge learns what becomes of the frames that a link has handed on, for who watches the link.
type Judge interface {
	// Settle tells of the frame that was received last why it was dropped, "" if it wasn't or isn't yet. It runs where receive
	// does, when the stack is done with the frame, and returns the frame's number.
	Settle(drop string) (number uint64)
	// Dropped tells that a frame was dropped later. It can be called at any time, with locks held: it must not wait.
	Dropped(number uint64, drop string)
}

// OffloadLink is a Link that takes work with checksums and segments off the stack: its card's, or its own where the card can't. It
// hands over frames by AttachOffload instead of Attach.
type OffloadLink interface {
	Link

	// TransmitOffload is Transmit for a frame that the Link is to complete: TCP over IPv4 or IPv6, of up to 64 KiB if it is to
	// be cut. If there is no room for all that is made of it, the first frames may have been sent.
	TransmitOffload(o packet.Offload, pieces ...[]byte) error

	// AttachOffload is Attach for a function that is also told what the card knows of the checksum of TCP or UDP:
	// ChecksumOffload means that the frame comes from another machine on the same host, which has left it out, and that
	// nothing can have damaged it. A frame may hold a TCP segment of up to 64 KiB, made of several. When all frames that have
	// come so far have been handed over, batchEnd is called, on the same goroutine: what belongs together in them has then been put
	// together.
	AttachOffload(receive func(frame []byte, checksum packet.Checksum), batchEnd func())
}
