package net

import (
	"time"

	"gvisor.dev/gvisor/pkg/log"
)

// engineLog takes what the engine has to say, which it would print to standard error.
type engineLog struct {
	to func(format string, args ...any)
}

// Emit implements log.Emitter.
func (l engineLog) Emit(_ int, _ log.Level, _ time.Time, format string, args ...any) {
	l.to("net: "+format, args...)
}
