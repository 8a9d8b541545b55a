package vsockhost

import (
	"errors"
	"testing"
	"time"

	"wick/vsock"
)

// TestConnectAgainToStoppedMachine: a guest that connects to a machine that does not answer, and gives up, may do so again and again from
// one port, with the same result; when the machine answers, it is connected.
func TestConnectAgainToStoppedMachine(t *testing.T) {
	const other = cid + 1
	asked := make(chan *vsock.Conn, 10)
	there, _ := open(t, Config{CID: other})
	_, stop := start(t, there, func(c *vsock.Config) { c.Request = func(c *vsock.Conn) { asked <- c } })
	w := newWorld(t, 0, Config{Peer: func(uint32) (*Host, error) { return there, nil }})
	to := vsock.Addr{CID: other, Port: 7}
	var given []*vsock.Conn // to the machine, and given up meanwhile
	for i := range 3 {
		c, err := w.guest.Connect(vsock.Addr{CID: cid, Port: 1}, to, time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, <-asked)
		c.Reset() // as when its time is over
		w.wantLogs("refused the guest's connection to guest(6):7: the guest has stopped waiting for it", i+1)
	}
	go func() {
		for _, c := range given { // which can't be accepted any more
			c.Accept()
		}
		for c := range asked {
			c.Accept()
		}
	}()
	defer close(asked)
	if c, err := w.dialTo(to, 1); err != nil {
		t.Errorf("the last: %v", err)
	} else {
		c.Reset()
	}
	stop()
}

// A guest that is refused another machine learns only that; the log has the reason.
func TestLogTellsWhyNoMachineIsReached(t *testing.T) {
	there, _ := open(t, Config{CID: 8})
	w := newWorld(t, 0, Config{Peer: func(to uint32) (*Host, error) {
		if to == 8 {
			return there, nil
		}
		return nil, errors.New("why not")
	}})
	for _, c := range []struct {
		cid  uint32
		want string
	}{
		{8, "refused the guest's connection to guest(8):5: the machine is not running"},
		{9, "refused the guest's connection to guest(9):5: why not"},
	} {
		if _, err := w.dialTo(vsock.Addr{CID: c.cid, Port: 5}, c.cid); err != vsock.ErrRefused {
			t.Errorf("%d: %v", c.cid, err)
		}
		w.wantLog(c.want)
	}
}
