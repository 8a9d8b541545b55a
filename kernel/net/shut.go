package net

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// shutState remembers which halves of a socket the program has shut down.
type shutState struct{ bits atomic.Uint32 }

const (
	shutRead  = 1
	shutWrite = 2
)

// set notes a shutdown(2), whose how is 0, 1 or 2.
func (s *shutState) set(how int) {
	s.bits.Or(uint32(how + 1)) // SHUT_RD+1 == shutRead, SHUT_WR+1 == shutWrite, SHUT_RDWR+1 == both
}

func (s *shutState) clear()      { s.bits.Store(0) }
func (s *shutState) read() bool  { return s.bits.Load()&shutRead != 0 }
func (s *shutState) write() bool { return s.bits.Load()&shutWrite != 0 }

// halves tells what a shutdown(2) means.
func halves(how int) (read, write bool, err error) {
	switch how {
	case unix.SHUT_RD:
		return true, false, nil
	case unix.SHUT_WR:
		return false, true, nil
	case unix.SHUT_RDWR:
		return true, true, nil
	}
	return false, false, unix.EINVAL
}
