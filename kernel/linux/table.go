// Package linux is the Linux ABI: the system-call table, a file per family of calls.
//
// A family file registers its calls in an init function. Each call is a function on a Call and
// returns the value for RAX, or an error that is a unix.Errno.
//
// A call that waits does it in Thread.Sleep and returns its error unix.EINTR unchanged: whether the program sees
// it or the call starts again is decided when the signal is delivered (see restartOf).
package linux

// handler does one system call.
type handler func(c *Call) (uint64, error)

// entry is one slot of the table.
type entry struct {
	name string
	do   handler
}

// tableSize bounds the numbers that have slots; higher ones are ENOSYS.
const tableSize = 512

var table [tableSize]entry

// register puts a call into the table.
func register(number int, name string, do handler) {
	if table[number].do != nil {
		panic("system call registered twice: " + name)
	}
	table[number] = entry{name, do}
}
