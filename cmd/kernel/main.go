// Command kernel is the kernel of wick's microVMs.
package main

import (
	"fmt"
	"runtime"

	"wick/kernel/ground"
)

func main() {
	fmt.Println("hello from ring 0", runtime.Version(), ground.CPUs(), ground.SinceBoot())
	runtime.GC()
	c := make(chan int)
	go func() { c <- 1 }()
	<-c
	func() {
		defer func() { fmt.Println("recovered", recover()) }()
		var p *int
		*p = 1
	}()
	ground.PowerOff(3)
}
