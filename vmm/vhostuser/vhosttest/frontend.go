// Package vhosttest is the other side of package vhostuser, for tests: a front-end, as QEMU is one, with a guest's memory, and
// a driver for the guest's ends of the rings.
package vhosttest

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Requests of vhost-user.
const (
	GetFeatures         = 1
	SetFeatures         = 2
	SetOwner            = 3
	SetMemTable         = 5
	SetVringNum         = 8
	SetVringAddr        = 9
	SetVringBase        = 10
	GetVringBase        = 11
	SetVringKick        = 12
	SetVringCall        = 13
	SetVringErr         = 14
	GetProtocolFeatures = 15
	SetProtocolFeatures = 16
	GetQueueNum         = 17
	SetVringEnable      = 18
	GetConfig           = 24
)

// Feature bits.
const (
	Indirect = 1 << 28
	EventIdx = 1 << 29
	Protocol = 1 << 30
	Version1 = 1 << 32
)

// The guest's memory, in two regions that follow each other, as on microvm, at another place in the front-end.
const (
	MemorySize = 16 << 20
	LowSize    = 1 << 20
	UserBase   = 0x7f0000000000
)

// FrontEnd drives a device.
type FrontEnd struct {
	T      testing.TB
	Conn   *net.UnixConn
	Memory []byte   // by guest physical address
	File   *os.File // of the memory
	Queues []*Queue
}

// Pair returns two connected sockets.
func Pair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return conns[0], conns[1]
}

// New returns a front-end with queues of a size.
func New(t testing.TB, conn *net.UnixConn, queues int, size uint16) *FrontEnd {
	t.Helper()
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := &FrontEnd{T: t, Conn: conn, File: os.NewFile(uintptr(fd), "guest")}
	if err := f.File.Truncate(MemorySize); err != nil {
		t.Fatal(err)
	}
	if f.Memory, err = unix.Mmap(fd, 0, MemorySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Munmap(f.Memory)
		f.File.Close()
	})
	for i := range queues {
		f.Queues = append(f.Queues, newQueue(f, i, size))
	}
	return f
}

// Send sends a request.
func (f *FrontEnd) Send(request uint32, payload []byte, files ...*os.File) {
	f.T.Helper()
	if err := f.TrySend(request, 1, payload, files...); err != nil {
		f.T.Fatalf("request %d: %v", request, err)
	}
}

// TrySend sends a request with flags, of which 1 is the version.
func (f *FrontEnd) TrySend(request, flags uint32, payload []byte, files ...*os.File) error {
	b := binary.NativeEndian.AppendUint32(nil, request)
	b = binary.NativeEndian.AppendUint32(b, flags)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(payload)))
	var oob []byte
	if len(files) > 0 {
		var fds []int
		for _, file := range files {
			fds = append(fds, number(file))
		}
		oob = unix.UnixRights(fds...)
	}
	_, _, err := f.Conn.WriteMsgUnix(append(b, payload...), oob, nil)
	return err
}

// number returns a file's descriptor; File.Fd would make it a blocking one.
func number(file *os.File) (n int) {
	raw, err := file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	if err != nil {
		panic(err)
	}
	return n
}

// Ask sends a request and returns the payload of the answer.
func (f *FrontEnd) Ask(request uint32, payload []byte) []byte {
	f.T.Helper()
	f.Send(request, payload)
	got, err := f.Answer(request)
	if err != nil {
		f.T.Fatalf("request %d: %v", request, err)
	}
	return got
}

// Answer reads the answer to a request.
func (f *FrontEnd) Answer(request uint32) ([]byte, error) {
	b := make([]byte, 512)
	n, err := f.Conn.Read(b)
	if err != nil {
		return nil, err
	}
	if n < 12 || binary.NativeEndian.Uint32(b) != request || binary.NativeEndian.Uint32(b[4:]) != 5 ||
		int(binary.NativeEndian.Uint32(b[8:])) != n-12 {
		return nil, fmt.Errorf("the answer is % x", b[:n])
	}
	return b[12:n], nil
}

// U64 returns a payload.
func U64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

// State returns the payload of a message about a queue.
func State(index int, value uint32) []byte { return U64(uint64(index) | uint64(value)<<32) }

// Table returns the payload of SET_MEM_TABLE with the two regions.
func (f *FrontEnd) Table() []byte {
	b := binary.NativeEndian.AppendUint64(nil, 2)
	for _, r := range [][4]uint64{ // guest, size, user, offset
		{0, LowSize, UserBase, 0},
		{LowSize, MemorySize - LowSize, UserBase + 1<<40, LowSize},
	} {
		for _, v := range r {
			b = binary.NativeEndian.AppendUint64(b, v)
		}
	}
	return b
}

// user returns the front-end's address of a guest physical address.
func user(addr uint64) uint64 {
	if addr < LowSize {
		return UserBase + addr
	}
	return UserBase + 1<<40 + addr - LowSize
}

// Handshake does what QEMU does before the guest runs, and returns the feature bits.
func (f *FrontEnd) Handshake() uint64 {
	f.T.Helper()
	features := binary.NativeEndian.Uint64(f.Ask(GetFeatures, nil))
	protocol := f.Ask(GetProtocolFeatures, nil)
	f.Send(SetProtocolFeatures, protocol)
	f.Send(SetOwner, nil)
	return features
}

// Start does what QEMU does when the guest's driver is ready. With features none of the optional ones need be.
func (f *FrontEnd) Start(features uint64) {
	f.T.Helper()
	f.Send(SetFeatures, U64(features))
	f.Send(SetMemTable, f.Table(), f.File, f.File)
	for _, q := range f.Queues {
		q.reset(features&EventIdx != 0)
		f.Send(SetVringNum, State(q.Index, uint32(q.Size)))
		f.Send(SetVringBase, State(q.Index, 0))
		f.Send(SetVringAddr, q.Addr())
		f.Send(SetVringKick, U64(uint64(q.Index)), q.Kick)
		f.Send(SetVringCall, U64(uint64(q.Index)), q.Call)
	}
	for _, q := range f.Queues {
		f.Send(SetVringEnable, State(q.Index, 1))
		f.Send(SetVringCall, U64(uint64(q.Index)), q.Call) // once more, as QEMU does
	}
}

// Stop does what QEMU does when the guest resets the device.
func (f *FrontEnd) Stop() {
	f.T.Helper()
	for _, q := range f.Queues {
		f.Send(SetVringEnable, State(q.Index, 0))
	}
	for _, q := range f.Queues {
		f.Ask(GetVringBase, State(q.Index, 0))
	}
}
