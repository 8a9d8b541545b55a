package ground

// The first serial port, COM1, takes the text of early boot, of panics, and of what the kernel's own runtime
// writes to its standard output and error.

const (
	com1    = 0x3f8
	uartLSR = 5
	lsrTHRE = 0x20 // the transmit FIFO is empty

	// debugExitPort is that of QEMU's isa-debug-exit: QEMU ends with status value<<1 | 1.
	debugExitPort = 0xf4
)

func initConsole() {
	out8(com1+1, 0) // no interrupts
	out8(com1+3, 3) // 8N1
	out8(com1+2, 7) // FIFOs on, cleared
	out8(com1+4, 3) // DTR, RTS
}

// consoleLock keeps what different CPUs write for the runtime apart. Reports don't take it.
var consoleLock spinlock

// writeConsole writes text of the runtime. Who reads the console may let it wait.
func writeConsole(c *cpu, text, size uint64) {
	consoleLock.lock()
	for i := uint64(0); i < size; i++ {
		c.watch.entries++
		answerFlush(c)
		if *p8(text + i) == '\n' {
			putc('\r')
		}
		putc(*p8(text + i))
	}
	consoleLock.unlock()
}

func putc(c byte) {
	for n := 0; in8(com1+uartLSR)&lsrTHRE == 0 && n < 1<<20; n++ {
	}
	out8(com1, c)
}

func puts(s string) {
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' {
			putc('\r')
		}
		putc(s[i])
	}
}

// putHex prints a label and a number.
func putHex(label string, v uint64) {
	puts(label)
	puts("0x")
	started := false
	for shift := 60; shift >= 0; shift -= 4 {
		d := byte(v >> uint(shift) & 15)
		if d == 0 && !started && shift > 0 {
			continue
		}
		started = true
		if d < 10 {
			putc('0' + d)
		} else {
			putc('a' + d - 10)
		}
	}
}

func putDec(v uint64) {
	if v >= 10 {
		putDec(v / 10)
	}
	putc('0' + byte(v%10))
}

// refuse ends the machine because it can't run the kernel at all.
func refuse(why string) {
	puts("\nwick: ")
	puts(why)
	puts("\n")
	powerOff(exitRefused)
}

// Values written to the debug-exit port; QEMU's status is value<<1 | 1.
const (
	exitPanic   = 0x7e
	exitRefused = 0x7d
)

// powerOff ends QEMU by whatever the machine has. It doesn't return.
func powerOff(code uint64) {
	out8(debugExitPort, uint8(code))
	// ACPI: PM1a_CNT with SLP_EN, where SeaBIOS puts it on pc and q35.
	out16(0x604, 0x2000)
	out8(0x64, 0xfe) // the keyboard controller's reset line
	for {
		halt()
	}
}
