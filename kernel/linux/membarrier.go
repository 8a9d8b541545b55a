package linux

import "golang.org/x/sys/unix"

// Commands of membarrier(2) [linux/membarrier.h]. The one that registers for a command is the next bit.
const (
	membarrierQuery                    = 0
	membarrierGlobal                   = 1 << 0
	membarrierGlobalExpedited          = 1 << 1
	membarrierRegisterGlobalExpedited  = 1 << 2
	membarrierPrivateExpedited         = 1 << 3
	membarrierRegisterPrivateExpedited = 1 << 4
	membarrierSyncCore                 = 1 << 5
	membarrierRegisterSyncCore         = 1 << 6

	// membarrierKnown is all but the commands for restartable sequences, which need rseq(2).
	membarrierKnown = 1<<7 - 1
)

// membarrier is membarrier(2): cmd, flags, cpu_id. A TLB flush is the barrier: it interrupts each CPU that runs a thread of the
// process and waits for its answer. The interrupt orders that CPU's memory accesses, and its IRET is a serialising
// instruction [SDM3 9.3], which is more than the commands without SYNC_CORE ask for. Other CPUs have passed through the kernel's
// scheduler since they ran one.
func (c *Call) membarrier() (uint64, error) {
	command, flags := uint32(c.Args[0]), uint32(c.Args[1])
	if flags != 0 {
		return 0, unix.EINVAL
	}
	switch command {
	case membarrierQuery:
		return membarrierKnown, nil
	case membarrierRegisterGlobalExpedited, membarrierRegisterPrivateExpedited, membarrierRegisterSyncCore:
		c.barriers.Or(command)
		return 0, nil
	case membarrierGlobal, membarrierGlobalExpedited:
	case membarrierPrivateExpedited, membarrierSyncCore:
		if c.barriers.Load()&(command<<1) == 0 {
			return 0, unix.EPERM
		}
	default:
		return 0, unix.EINVAL
	}
	c.Kernel.Machine.Flush(c.Space.Root(), 0, 1)
	return 0, nil
}
