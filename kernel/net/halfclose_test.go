package net

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// TestEndIsReadyWhenItIsTold checks that a socket whose queue tells of the end of the peer's half shows that at once:
// edge-triggered epoll looks only when it is told.
func TestEndIsReadyWhenItIsTold(t *testing.T) {
	const all = waiter.ReadableEvents | waiter.WritableEvents | waiter.EventRdHUp
	w, _ := newShort(t)
	a, b := w.connected(t, unix.AF_INET, unix.SOCK_STREAM)
	receiver := w.fds[b]
	seen := make(chan waiter.EventMask, 16)
	e := waiter.NewFunctionEntry(all, func(waiter.EventMask) { seen <- receiver.Readiness(all) })
	receiver.EventRegister(&e)
	defer receiver.EventUnregister(&e)

	if err := w.shutdown(a, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-seen:
		if got&waiter.EventRdHUp == 0 || got&waiter.EventIn == 0 {
			t.Errorf("told of the end, the socket is ready for %#x", uint64(got))
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody was told of the end")
	}
}
