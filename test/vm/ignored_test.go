package vm

import (
	"os"
	"os/signal"
	"syscall"
)

// init undoes that the tests were started with signals ignored, as by nohup or as a shell's background job: the processes
// that they start would inherit it, and some tests send these signals. What is handled here has its default action there.
func init() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}
