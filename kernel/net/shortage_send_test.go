package net

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowSource is data whose reader is seen reading for a while.
type slowSource struct {
	size             int
	reading, highest *atomic.Int32
}

func (s *slowSource) Len() int { return s.size }

func (s *slowSource) Read(b []byte) (int, error) {
	s.highest.Store(max(s.highest.Load(), s.reading.Add(1)))
	time.Sleep(time.Millisecond)
	s.reading.Add(-1)
	n := min(len(b), s.size)
	s.size -= n
	return n, nil
}

// TestFewSendMuchAtOnce: memory for what is sent is taken by a few at a time.
func TestFewSendMuchAtOnce(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var reading, highest atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := s.NewSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			to := sa4("127.0.0.1", 9)
			if _, err := c.Send(&slowSource{60000, &reading, &highest}, &Message{Addr: to}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := highest.Load(); n > sendsAtOnce {
		t.Errorf("%d at once", n)
	}
}
