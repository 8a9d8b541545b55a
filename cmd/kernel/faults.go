//go:build faults

package main

import (
	"strings"
	"sync"
	"time"

	"wick/kernel/ground"
	"wick/kernel/ground/record"
)

// faultVariable names, in the program's environment, the fault that this kernel is to have. Only kernels built for tests look
// at it.
const faultVariable = "WICK_FAULT="

// underTest makes the fault that the program's environment names, when the program is well under way.
func (k *kernel) underTest() {
	for _, v := range k.bundle.Config.Env {
		if fault, ok := strings.CutPrefix(v, faultVariable); ok {
			go commit(fault)
		}
	}
}

func commit(fault string) {
	const enoughCalls = 16 * 1000 // a thousand at least: threads take up to 16 numbers for one call
	for record.Made() < enoughCalls {
		time.Sleep(time.Millisecond)
	}
	switch fault {
	case "panic":
		panic("a fault on purpose")
	case "fatal":
		new(sync.Mutex).Unlock()
	case "ground":
		ground.Provoke(ground.FaultPage)
	case "stuck":
		ground.Provoke(ground.FaultStuck)
	case "spin":
		ground.Spin()
	}
}
