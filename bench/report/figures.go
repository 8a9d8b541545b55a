// Package report makes a document with plots of what package measure has measured.
package report

import "wick/bench/measure"

// figure is one thing that is compared, with a table and a plot of its own.
type figure struct {
	id    string
	title string
	what  string // measure.Record.What
	value string // name in Values
	unit  string
	more  bool // more is better
	// mark is the ratio to Debian's kernel that wick is to reach at 1 CPU; 0: none.
	mark float64
	// virtioMark is the same with a virtio card, if that isn't mark.
	virtioMark float64
	// cpu is the name of the CPU time that belongs to it, and its unit.
	cpu, cpuUnit string
	note         string
}

const perOperation = "µs/op"

// figures in the order of the document.
var figures = []figure{
	{id: "first-line", title: "Exec of QEMU to the server's first line", what: measure.Boot, value: "first_line_ms", unit: "ms",
		mark: 0.1, cpu: "first_line_cpu_ms", cpuUnit: "ms"},
	{id: "first-reply", title: "Exec of QEMU to the first UDP reply", what: measure.Boot, value: "first_reply_ms", unit: "ms",
		mark: 0.2, virtioMark: 0.1, cpu: "first_reply_cpu_ms", cpuUnit: "ms",
		note: "QEMU's E1000 receives nothing for 1000 ms after each write to its register RCTL, so no guest answers sooner than a second after its driver has turned on reception. Linux's driver writes it more than once, and waits for the link. The second is in the figures of all."},
	{id: "least-memory", title: "Least memory that serves", what: measure.Memory, value: "least_mib", unit: "MiB", mark: 0.25,
		note: "By bisection, once; then with more until it serves two times in a row. To serve is to answer by UDP and, on 16 connections, by HTTP."},
	{id: "resident", title: "Resident size of QEMU after boot", what: measure.Boot, value: "resident_mib", unit: "MiB",
		note: "With 256 MiB of memory for each guest. Some 30 MiB of it are QEMU's own."},
	{id: "image-shipped", title: "Kernel image as it is shipped", what: measure.Size, value: "shipped_mib", unit: "MiB",
		note: "Linux's is compressed, wick's is not. The modules that the guest loads are counted."},
	{id: "image-loaded", title: "Kernel image as it is loaded", what: measure.Size, value: "loaded_mib", unit: "MiB"},
	{id: "udp-echo", title: "UDP round trip", what: measure.UDPEcho, value: "p50_us", unit: "µs", mark: 0.7, virtioMark: 0.8, cpu: measure.CPUTime, cpuUnit: perOperation,
		note: "The median of 1000 echoes of 64 bytes, one after the other."},
	{id: "udp-echo-p99", title: "UDP round trip, 99th percentile", what: measure.UDPEcho, value: "p99_us", unit: "µs"},
	{id: "udp-rate", title: "UDP requests per second", what: measure.UDPRate, value: "per_s", unit: "1/s", more: true, mark: 1.5, cpu: measure.CPUTime, cpuUnit: perOperation,
		note: "Echoes of 64 bytes, 32 outstanding."},
	{id: "tcp-echo", title: "TCP round trip", what: measure.TCPEcho, value: "p50_us", unit: "µs", mark: 0.7, cpu: measure.CPUTime, cpuUnit: perOperation,
		note: "As for UDP, on one connection."},
	{id: "tcp-echo-p99", title: "TCP round trip, 99th percentile", what: measure.TCPEcho, value: "p99_us", unit: "µs"},
	{id: "tcp-in", title: "TCP, host to guest", what: measure.TCPIn, value: "mb_per_s", unit: "10⁶ B/s", more: true, mark: 0.7, virtioMark: 0.8, cpu: measure.CPUTime, cpuUnit: "µs/10⁶ B",
		note: "One connection, until the guest has read everything."},
	{id: "tcp-out", title: "TCP, guest to host", what: measure.TCPOut, value: "mb_per_s", unit: "10⁶ B/s", more: true, mark: 0.7, virtioMark: 0.8, cpu: measure.CPUTime, cpuUnit: "µs/10⁶ B",
		note: "One connection."},
	{id: "http", title: "HTTP requests per second, kept alive", what: measure.HTTP, value: "per_s", unit: "1/s", more: true, mark: 1.5, virtioMark: 1.3, cpu: measure.CPUTime, cpuUnit: perOperation,
		note: "16 connections, a request on each at any time, to a server of Go's net/http."},
	{id: "http-conn", title: "HTTP requests per second, a connection for each", what: measure.HTTPConn, value: "per_s", unit: "1/s", more: true, mark: 1.5, cpu: measure.CPUTime, cpuUnit: perOperation,
		note: "16 at a time."},
	{id: "vsock-echo", title: "vsock round trip", what: measure.VsockEcho, value: "p50_us", unit: "µs", mark: 0.7, cpu: measure.CPUTime, cpuUnit: perOperation,
		note: "As for TCP, from a client of the Unix-domain socket of wick's vsock device. The device is the same for all guests; its own CPU time is not counted."},
	{id: "vsock-echo-p99", title: "vsock round trip, 99th percentile", what: measure.VsockEcho, value: "p99_us", unit: "µs"},
	{id: "vsock-in", title: "vsock, host to guest", what: measure.VsockIn, value: "mb_per_s", unit: "10⁶ B/s", more: true, mark: 1, cpu: measure.CPUTime, cpuUnit: "µs/10⁶ B",
		note: "One connection, until the guest has read everything."},
	{id: "vsock-out", title: "vsock, guest to host", what: measure.VsockOut, value: "mb_per_s", unit: "10⁶ B/s", more: true, mark: 1, cpu: measure.CPUTime, cpuUnit: "µs/10⁶ B",
		note: "One connection."},
	{id: "vsock-conn", title: "vsock connections per second", what: measure.VsockConn, value: "per_s", unit: "1/s", more: true, cpu: measure.CPUTime, cpuUnit: perOperation,
		note: "2 at a time, each from CONNECT to the end of both directions."},
	{id: "getpid", title: "System call: getpid", what: measure.Getpid, value: "ns", unit: "ns", mark: 1, cpu: measure.CPUTime, cpuUnit: "ns/op"},
	{id: "read", title: "System call: read of 1 byte", what: measure.Read, value: "ns", unit: "ns", cpu: measure.CPUTime, cpuUnit: "ns/op",
		note: "From /dev/zero."},
	{id: "switch", title: "Switch between two threads", what: measure.Switch, value: "ns", unit: "ns", cpu: measure.CPUTime, cpuUnit: "ns/op",
		note: "They hand a byte back and forth through two pipes: each switch is a write that wakes the other thread and a read that sleeps. With 2 vCPUs it goes from one to the other."},
	{id: "fault", title: "Page fault", what: measure.Fault, value: "ns", unit: "ns", cpu: measure.CPUTime, cpuUnit: "ns/op",
		note: "The first store to a page of anonymous memory, mmap and munmap of 16 MiB counted with it."},
	{id: "compute", title: "Computation by two threads", what: measure.Compute, value: "ns", unit: "ns", cpu: measure.CPUTime, cpuUnit: "ns/op",
		note: "A thousand steps of a generator of random numbers. With 2 vCPUs on an idle host with two CPUs it takes half of what it takes with 1."},
}

// cpuScale turns the CPU time of a record into the figure's unit.
func (f *figure) cpuScale() float64 {
	if f.cpuUnit == "ns/op" {
		return 1000
	}
	return 1
}
