// Package vhostuser is the end of a vhost-user connection that has the device: QEMU, the front-end, shows a PCI or MMIO
// device to its guest and hands the rings over [QEMU, docs/interop/vhost-user.rst]. The device reads and writes the rings,
// and what they point to, in the guest's memory, of which QEMU sends the descriptors.
//
// The guest is not trusted: what it writes to its memory is read once and checked before it is used, and a ring with
// anything wrong in it stops. QEMU is trusted to speak the protocol, no further: what it says is checked, too.
//
// Lock order: the queues' in the order of their numbers backwards, so that a device may work on queue 0 while it handles
// one of queue 1; then Backend.mu.
package vhostuser

import "errors"

// Requests of the front-end that a device like ours gets.
const (
	getFeatures         = 1
	setFeatures         = 2
	setOwner            = 3
	resetOwner          = 4
	setMemTable         = 5
	setVringNum         = 8
	setVringAddr        = 9
	setVringBase        = 10
	getVringBase        = 11
	setVringKick        = 12
	setVringCall        = 13
	setVringErr         = 14
	getProtocolFeatures = 15
	setProtocolFeatures = 16
	getQueueNum         = 17
	setVringEnable      = 18
	getConfig           = 24
	setConfig           = 25
)

// Feature bits of all devices [virtio 6].
const (
	featureIndirect = 1 << 28 // VIRTIO_F_INDIRECT_DESC
	featureEventIdx = 1 << 29 // VIRTIO_F_EVENT_IDX
	featureProtocol = 1 << 30 // VHOST_USER_F_PROTOCOL_FEATURES: there are features of the protocol, too
	featureVersion1 = 1 << 32 // VIRTIO_F_VERSION_1
)

// transportFeatures are those that this package has.
const transportFeatures = featureIndirect | featureEventIdx | featureProtocol | featureVersion1

// Feature bits of the protocol.
const (
	protocolMQ       = 1 << 0 // GET_QUEUE_NUM
	protocolReplyAck = 1 << 3 // a request may ask for an answer
	protocolConfig   = 1 << 9 // GET_CONFIG; QEMU's vsock device insists on it
)

const protocolFeatures = protocolMQ | protocolReplyAck | protocolConfig

var (
	// ErrProtocol is wrapped in errors that are the front-end's.
	ErrProtocol = errors.New("vhost-user: the front-end violates the protocol")
	// ErrRing is wrapped in errors that are the guest's.
	ErrRing = errors.New("virtio: the guest's driver has broken a ring")
)

// Device is what a Backend serves. Its methods are called by one goroutine a queue, but for those that say otherwise.
type Device interface {
	// Features returns the device's own feature bits.
	Features() uint64
	// Config returns the device's configuration space.
	Config() []byte
	// Queues returns the number of queues.
	Queues() int
	// Kick is called when the guest has put something into a queue, and when the queue has started.
	Kick(q *Queue)
	// Stopped is called when a queue has stopped, for each of them: the guest has reset the device, a ring is broken (err
	// tells what, once), or QEMU has ended.
	Stopped(err error)
}
