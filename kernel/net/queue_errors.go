package net

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// errorQueue holds the ICMP errors that a socket with IP_RECVERR has not fetched with MSG_ERRQUEUE [ip(7)]. It is bounded as
// the queue of datagrams is, on its own.
type errorQueue struct {
	waiting []icmpError
	cost    int // bytes
}

// wantsErrors implements datagramSink.
func (q *datagramQueue) wantsErrors(ipv6 bool) bool {
	if ipv6 {
		return q.wantErrors6.Load()
	}
	return q.wantErrors4.Load()
}

// setWantErrors is IP_RECVERR and IPV6_RECVERR. What waits is thrown away when one of them is switched off.
func (q *datagramQueue) setWantErrors(ipv6, on bool) {
	if ipv6 {
		q.wantErrors6.Store(on)
	} else {
		q.wantErrors4.Store(on)
	}
	if !on {
		q.mu.Lock()
		q.errors = errorQueue{}
		q.mu.Unlock()
	}
}

// fail implements datagramSink.
func (q *datagramQueue) fail(e icmpError, quoted bool) {
	q.mu.Lock()
	q.err = e.err
	if cost := len(e.data) + datagramSlotCost; quoted && q.errors.cost+cost <= q.limit && !q.stack.shortage.now() {
		q.errors.waiting = append(q.errors.waiting, e)
		q.errors.cost += cost
	}
	q.mu.Unlock()
	q.wait.Notify(waiter.EventErr | waiter.ReadableEvents | waiter.WritableEvents)
}

// takeQueuedError removes the first error of the queue. The pending error is the next one's then [sock_dequeue_err_skb].
func (q *datagramQueue) takeQueuedError() (e icmpError, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.errors.waiting
	if len(w) == 0 {
		return icmpError{}, false
	}
	e, w[0] = w[0], icmpError{}
	q.errors.waiting = w[1:]
	q.errors.cost -= len(e.data) + datagramSlotCost
	q.err = nil
	if len(w) > 1 {
		q.err = w[1].err
	}
	return e, true
}

// recvError is a Recv with MSG_ERRQUEUE: the data of the datagram that is to blame, its destination, and a struct
// sock_extended_err with the offender's address.
//
// DEVIATION: no other ancillary data comes with it.
func (s *datagramSocket) recvError(dst vfs.Dst, m *Message) (int64, error) {
	e, ok := s.queue.takeQueuedError()
	if !ok {
		return 0, unix.EAGAIN
	}
	n, err := dst.Write(e.data)
	if err != nil && dst.Len() > 0 {
		return 0, unix.EFAULT
	}
	m.Flags |= unix.MSG_ERRQUEUE
	if n < len(e.data) {
		m.Flags |= unix.MSG_TRUNC
	}
	if m.WantAddr {
		e.to.addr = s.recvAddress(e.to.addr)
		m.Addr = s.appendAddr(m.Addr, e.to)
	}
	origin := byte(unix.SO_EE_ORIGIN_ICMP)
	if e.ipv6 {
		origin = unix.SO_EE_ORIGIN_ICMP6
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(e.err))
	b = append(b, origin, e.typ, e.code, 0)
	b = binary.NativeEndian.AppendUint32(b, e.info)
	b = binary.NativeEndian.AppendUint32(b, 0)
	e.offender.addr = s.recvAddress(e.offender.addr)
	b = s.appendAddr(b, e.offender)
	if s.family == unix.AF_INET6 {
		m.put(unix.IPPROTO_IPV6, unix.IPV6_RECVERR, b)
	} else {
		m.put(unix.IPPROTO_IP, unix.IP_RECVERR, b)
	}
	return int64(n), nil
}
