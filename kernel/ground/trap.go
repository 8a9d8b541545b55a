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
	if v < vecLine && onStacks(t.sp) {
		die("exception in ground")
	}
	c.watch.entries++
	leaveIdle(c)
	yield := false
	switch {
	case v == vecResched:
		lapicWrite(lapicEOI, 0)
	case v == vecTimer:
		lapicWrite(lapicEOI, 0)
		c.armedNS = noTimer
		yield = expire(c)
	case v >= vecLine && v < vecLine+maxSources:
		maskLine(v - vecLine)
		lapicWrite(lapicEOI, 0)
		interrupt(c, v-vecLine)
	case v >= vecLine:
		die("unexpected vector")
	default:
		faultSignal(t)
	}
	schedule(c, yield)
}
