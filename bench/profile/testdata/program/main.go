// Program prints where it is, as the runtime sees it: for each function on its stack, the innermost first, an address, its
// name and the line.
package main

import (
	"fmt"
	"runtime"
)

func main() { outer() }

//go:noinline
func outer() {
	inlined()
}

func inlined() {
	within()
}

func within() {
	show()
}

//go:noinline
func show() {
	pcs := make([]uintptr, 16)
	for _, pc := range pcs[:runtime.Callers(2, pcs)] {
		frames := runtime.CallersFrames([]uintptr{pc})
		f, _ := frames.Next()
		fmt.Printf("%x %s %d\n", pc, f.Function, f.Line)
	}
}
