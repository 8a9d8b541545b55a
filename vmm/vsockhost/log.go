package vsockhost

import (
	"fmt"
	"sync"
	"time"
)

// Lines that a guest can cause are bounded: a few at once, then some in a second.
const (
	logBurst    = 20
	logInterval = 200 * time.Millisecond
)

// limiter passes lines on as long as they are not too many.
type limiter struct {
	print func(string)
	now   func() time.Time

	mu      sync.Mutex
	tokens  int       // guarded by mu, as all below: lines that may pass
	since   time.Time // when tokens was last right
	skipped int       // lines that have not passed since the last that has
}

func newLimiter(print func(string)) *limiter {
	return &limiter{print: print, now: time.Now, tokens: logBurst, since: time.Now()}
}

// Limited returns a function that passes lines to print as long as they are not too many: those that others can cause.
func Limited(print func(line string)) func(format string, args ...any) {
	return newLimiter(print).printf
}

func (l *limiter) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more := int(l.now().Sub(l.since) / logInterval); more > 0 {
		l.tokens = min(logBurst, l.tokens+more)
		l.since = l.since.Add(time.Duration(more) * logInterval)
	}
	if l.tokens == 0 {
		l.skipped++
		return
	}
	l.tokens--
	line := fmt.Sprintf(format, args...)
	if l.skipped > 0 {
		line = fmt.Sprintf("%s (%d other messages left out)", line, l.skipped)
		l.skipped = 0
	}
	l.print(line)
}
