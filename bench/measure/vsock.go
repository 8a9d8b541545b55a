package measure

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"wick/bench/guest"
	"wick/vmm"
	"wick/vmm/vsockhost"
)

// guestCID is the guest's vsock address.
const guestCID = 3

// vsock boots the guest with a vsock device, which is wick's whatever the guest is, and puts loads on it. The device works
// in this process: its CPU time is not QEMU's.
func (s *session) vsock() {
	fail := func(err error) { s.report(VsockEcho, nil, Noise{}, err) }
	if err := s.Quiet.wait(nil); err != nil {
		fail(err)
		return
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		fail(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "v")
	vm, served, err := s.startVsock(path)
	if err != nil {
		fail(err)
		return
	}
	defer func() {
		vm.Stop()
		<-served // it has to do with the guest's end only
	}()
	ctx, cancel := context.WithTimeout(context.Background(), BootLimit)
	defer cancel()
	if _, err := vm.Line(ctx, "vsock: ready"); err != nil {
		fail(err)
		return
	}
	for _, load := range []struct {
		what string
		run  func(dialer) (outcome, error)
		port uint32
	}{{VsockEcho, streamEcho, 7}, {VsockIn, streamIn, 9}, {VsockOut, streamOut, 19}, {VsockConn, connectRate, 9}} {
		v, n, err := s.load(vm, func() (outcome, error) { return load.run(vsock(path, load.port)) })
		s.report(load.what, v, n, err)
	}
}

// startVsock starts the guest with a device whose socket is path. served gets a value when the guest has ended.
func (s *session) startVsock(path string) (vm *guest.Process, served chan error, err error) {
	host, err := vsockhost.New(vsockhost.Config{CID: guestCID, Path: path, Log: func(string) {}})
	if err != nil {
		return nil, nil, err
	}
	ours, theirs, err := vmm.VsockPair()
	if err != nil {
		host.Close()
		return nil, nil, err
	}
	defer theirs.Close()
	if vm, err = s.guest.Start(s.QEMU, guest.Vsock, guest.DefaultMemory, nil, theirs); err != nil {
		host.Close()
		return nil, nil, errors.Join(err, ours.Close())
	}
	served = make(chan error, 1)
	go func() {
		defer host.Close()
		served <- host.Serve(ours)
	}()
	return vm, served, nil
}
