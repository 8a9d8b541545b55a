package ground

// trap handles an exception of ring 0, or an interrupt; it runs on the ground stack. The registers of the interrupted
// thread t are saved: if it was in ring 3, as if enterUser had returned, with t.resumeUser set.
func trap(t *thread) {
	c := me()
	v := t.vec
	if v == vecFlush {
		lapicWrite(lapicEOI, 0)
		answerFlush(c)
		return
	}
	if v == vecSpurious {
		return
	}
	if v < vecPIC && (c.locked != 0 || onStacks(t.sp)) {
		die("exception in ground")
	}
	lock()
	switch {
	case v == vecResched:
		lapicWrite(lapicEOI, 0)
		answerFlush(c)
		c.woken = 0
		schedule(false)
	case v == vecTimer:
		lapicWrite(lapicEOI, 0)
		c.armedNS = noTimer
		expire(c)
		schedule(true)
	case v >= vecPIC && v < vecPIC+picLines:
		lineInterrupt(v - vecPIC)
		schedule(false)
	case v >= vecPIC:
		die("unexpected vector")
	default:
		faultSignal(t)
		schedule(false)
	}
}

// lineInterrupt masks a line, which is level-triggered for PCI, until its driver has served the device.
func lineInterrupt(line uint64) {
	const spuriousMaster, spuriousSlave, inService = 7, 15, 0x0b
	if line == spuriousMaster || line == spuriousSlave {
		// The 8259 raises its last line when the real one has gone away [8259A, default IR7].
		base := uint64(picMaster)
		if line == spuriousSlave {
			base = picSlave
		}
		out8(base, inService)
		if in8(base)&0x80 == 0 {
			if line == spuriousSlave {
				out8(picMaster, picEOI)
			}
			return
		}
	}
	maskLine(line)
	ackLine(line)
	interrupt(line)
}
