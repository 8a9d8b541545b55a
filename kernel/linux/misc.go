package linux

import (
	"crypto/rand"
	"time"

	"golang.org/x/sys/unix"
)

// What uname tells. The release is that of the Linux whose system calls these are, for programs that compare it.
const (
	unameSystem  = "Linux"
	unameRelease = "6.1.0-wick"
	unameVersion = "#1 wick"
	unameMachine = "x86_64"
	unameDomain  = "(none)"
	unameField   = 65 // bytes of each field, with a NUL
)

func (c *Call) uname() (uint64, error) {
	host := c.Kernel.Hostname
	if host == "" {
		host = "wick"
	}
	var b [6 * unameField]byte
	for i, s := range [...]string{unameSystem, host, unameRelease, unameVersion, unameMachine, unameDomain} {
		copy(b[i*unameField:(i+1)*unameField-1], s)
	}
	return 0, c.Space.CopyOut(c.Args[0], b[:])
}

// sysinfo is sysinfo(2), struct sysinfo of 64-bit Linux:
//
//	+0   uptime     +8   loads[3]   +32  totalram  +40  freeram   +48  sharedram  +56  bufferram
//	+64  totalswap  +72  freeswap   +80  procs (16 bits)          +88  totalhigh  +96  freehigh
//	+104 mem_unit (32 bits), 112 bytes in all
func (c *Call) sysinfo() (uint64, error) {
	var b [112]byte
	le.PutUint64(b[0:], uint64(c.Kernel.monotonic()/time.Second))
	if c.Kernel.Memory != nil {
		total, free := c.Kernel.Memory()
		le.PutUint64(b[32:], total)
		le.PutUint64(b[40:], free)
	}
	threads, _ := c.Family().Counts()
	le.PutUint16(b[80:], uint16(threads))
	le.PutUint32(b[104:], 1)
	return 0, c.Space.CopyOut(c.Args[0], b[:])
}

// randomChunk is how many random bytes are made at a time.
const randomChunk = 256

// maxRandom bounds one getrandom, as Linux does.
const maxRandom = 1<<31 - 1

func (c *Call) getrandom() (uint64, error) {
	const known = unix.GRND_NONBLOCK | unix.GRND_RANDOM | unix.GRND_INSECURE
	flags := uint32(c.Args[2])
	if flags&^known != 0 || flags&(unix.GRND_RANDOM|unix.GRND_INSECURE) == unix.GRND_RANDOM|unix.GRND_INSECURE {
		return 0, unix.EINVAL
	}
	var chunk [randomChunk]byte
	addr, left := c.Args[0], min(c.Args[1], maxRandom)
	for done := uint64(0); done < left; {
		b := chunk[:min(left-done, randomChunk)]
		rand.Read(b) // never fails [crypto/rand]
		if err := c.Space.CopyOut(addr+done, b); err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		done += uint64(len(b))
		if done%(64<<10) == 0 && c.Process.Exiting() {
			return done, nil
		}
	}
	return left, nil
}
