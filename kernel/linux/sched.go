package linux

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

func (c *Call) schedYield() (uint64, error) {
	runtime.Gosched()
	return 0, nil
}

// knownThread checks a thread id of a scheduling call; 0 is the caller.
func (c *Call) knownThread(arg uint64) error {
	switch tid := int32(arg); {
	case tid < 0:
		return unix.EINVAL
	case tid != 0 && c.Family().Thread(int(tid)) == nil:
		return unix.ESRCH
	}
	return nil
}

// maxCPUs bounds the CPUs that programs see.
const maxCPUs = 64

// cpuMask has a bit for each CPU.
func (k *Kernel) cpuMask() uint64 { return ^uint64(0) >> (maxCPUs - min(max(k.CPUs, 1), maxCPUs)) }

func (c *Call) schedGetaffinity() (uint64, error) {
	size := uint32(c.Args[1])
	if uint64(size)*8 < uint64(max(c.Kernel.CPUs, 1)) || size%8 != 0 {
		return 0, unix.EINVAL
	}
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, unix.ESRCH
	}
	if err := c.Space.PutUint64(c.Args[2], c.Kernel.cpuMask()); err != nil {
		return 0, err
	}
	return 8, nil
}

// schedSetaffinity checks the mask.
//
// DEVIATION: threads run on any CPU all the same: the Go scheduler, which can't be told, places them.
func (c *Call) schedSetaffinity() (uint64, error) {
	var b [8]byte
	n := min(uint64(uint32(c.Args[1])), uint64(len(b)))
	if err := c.Space.CopyIn(b[:n], c.Args[2]); err != nil {
		return 0, err
	}
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, unix.ESRCH
	}
	if le.Uint64(b[:])&c.Kernel.cpuMask() == 0 {
		return 0, unix.EINVAL
	}
	return 0, nil
}

func (c *Call) schedGetparam() (uint64, error) {
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, err
	}
	if c.Args[1] == 0 {
		return 0, unix.EINVAL
	}
	return 0, c.Space.PutUint32(c.Args[1], 0)
}

// schedGetscheduler returns SCHED_OTHER.
func (c *Call) schedGetscheduler() (uint64, error) { return 0, c.knownThread(c.Args[0]) }

// priorityRange returns realtime for the real-time policies, 0 for the others, sched_get_priority_max(2).
func (c *Call) priorityRange(realtime uint64) (uint64, error) {
	switch c.Args[0] {
	case unix.SCHED_FIFO, unix.SCHED_RR:
		return realtime, nil
	case unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE, unix.SCHED_DEADLINE:
		return 0, nil
	}
	return 0, unix.EINVAL
}

// schedSetparam is sched_setparam(2): a thread that isn't real-time has priority 0.
func (c *Call) schedSetparam() (uint64, error) { return c.setPolicy(unix.SCHED_NORMAL, c.Args[1]) }

// schedSetscheduler is sched_setscheduler(2): pid, policy, param.
func (c *Call) schedSetscheduler() (uint64, error) {
	return c.setPolicy(uint32(c.Args[1])&^unix.SCHED_RESET_ON_FORK, c.Args[2])
}

// setPolicy checks a policy and the priority that is at param.
//
// DEVIATION: the Go scheduler, which knows no priorities, runs the threads. SCHED_OTHER is what it does; SCHED_BATCH and
// SCHED_IDLE, which ask for less, are not kept, and the real-time policies are unix.EPERM.
func (c *Call) setPolicy(policy uint32, param uint64) (uint64, error) {
	if param == 0 {
		return 0, unix.EINVAL
	}
	var b [4]byte
	if err := c.Space.CopyIn(b[:], param); err != nil {
		return 0, err
	}
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, err
	}
	priority := int32(le.Uint32(b[:]))
	switch policy {
	case unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE:
		if priority == 0 {
			return 0, nil
		}
	case unix.SCHED_FIFO, unix.SCHED_RR:
		if priority >= 1 && priority <= 99 {
			return 0, unix.EPERM
		}
	}
	return 0, unix.EINVAL
}

// timeSlice is how long a goroutine runs before the Go scheduler lets others have their turn.
const timeSlice = 10 * time.Millisecond

func (c *Call) schedRRGetInterval() (uint64, error) {
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, err
	}
	return 0, c.putTimespec(c.Args[1], timeSlice)
}

// niceOf checks which and who of getpriority(2).
func (c *Call) niceOf() error {
	switch int32(c.Args[0]) {
	case unix.PRIO_PROCESS, unix.PRIO_PGRP, unix.PRIO_USER:
	default:
		return unix.EINVAL
	}
	if id := int32(c.Args[1]); id != 0 && c.Family().Thread(int(id)) == nil {
		return unix.ESRCH
	}
	return nil
}

// Nice values, nice(2).
const (
	minNice = -20
	maxNice = 19
)

// getpriority returns 20 minus the nice value, getpriority(2).
func (c *Call) getpriority() (uint64, error) {
	if err := c.niceOf(); err != nil {
		return 0, err
	}
	return uint64(20 - c.nice.Load()), nil
}

// setpriority is setpriority(2): which, who, prio.
//
// DEVIATION: the value is kept, for all threads in one, but they run as they did.
func (c *Call) setpriority() (uint64, error) {
	if err := c.niceOf(); err != nil {
		return 0, err
	}
	nice := min(max(int32(c.Args[2]), minNice), maxNice)
	if nice < c.nice.Load() && !c.capable(unix.CAP_SYS_NICE) {
		return 0, unix.EACCES
	}
	c.nice.Store(nice)
	return 0, nil
}

// getcpu says on which CPU the thread is now, of node 0: it may be on any CPU when it looks at the answer.
func (c *Call) getcpu() (uint64, error) {
	cpu := 0
	if c.Kernel.CurrentCPU != nil {
		cpu = c.Kernel.CurrentCPU()
	}
	for i, v := range [2]int{cpu, 0} {
		if c.Args[i] == 0 {
			continue
		}
		if err := c.Space.PutUint32(c.Args[i], uint32(v)); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
