package uart

// register is the offset of a register from the base port, whose bits have type B.
type register[B ~uint8] uint16

func load[B ~uint8](u *UART, r register[B]) B { return B(u.ports.In8(u.base + uint16(r))) }

func store[B ~uint8](u *UART, r register[B], v B) { u.ports.Out8(u.base+uint16(r), uint8(v)) }

// Registers [16550 8.0, table II].
const (
	regRBR register[raw] = 0 // Receiver Buffer, RO, DLAB = 0
	regTHR register[raw] = 0 // Transmitter Holding, WO, DLAB = 0
	regDLL register[raw] = 0 // Divisor Latch Low, RW, DLAB = 1
	regDLM register[raw] = 1 // Divisor Latch High, RW, DLAB = 1
	regIER register[ier] = 1 // Interrupt Enable, RW, DLAB = 0
	regIIR register[iir] = 2 // Interrupt Identification, RO
	regFCR register[fcr] = 2 // FIFO Control, WO
	regLCR register[lcr] = 3 // Line Control, RW
	regMCR register[mcr] = 4 // Modem Control, RW
	regLSR register[lsr] = 5 // Line Status, RO; reading clears the errors
	regMSR register[raw] = 6 // Modem Status, RO; reading clears the changes
	regSCR register[raw] = 7 // Scratch, RW
)

// raw is the type of registers that are one number.
type raw uint8

// ier enables interrupts [16550 8.7].
type ier uint8

const (
	ierRDI  ier = 1 << 0 // received data
	ierTHRI ier = 1 << 1 // transmitter holding register empty
)

// iir tells of the interrupt with the highest priority [16550 8.6].
type iir uint8

const (
	iirNone   iir = 1 << 0 // none is pending
	iirID     iir = 0x0E   // mask
	iirModem  iir = 0 << 1 // modem status; cleared by reading MSR
	iirTHRE   iir = 1 << 1 // transmitter holding register empty; cleared by reading IIR
	iirData   iir = 2 << 1 // as much data as the trigger level; cleared by reading RBR
	iirStatus iir = 3 << 1 // an error; cleared by reading LSR
	iirOld    iir = 6 << 1 // data below the trigger level, for four characters' time
	iirFIFOs  iir = 0xC0   // mask; both bits: the FIFOs of a 16550A are on
)

// fcr controls the FIFOs [16550 8.5].
type fcr uint8

const (
	fcrEnable  fcr = 1 << 0
	fcrClearRx fcr = 1 << 1
	fcrClearTx fcr = 1 << 2
	fcrLevel14 fcr = 3 << 6 // receive trigger level: 14 bytes
)

// lcr is the format of a character [16550 8.1].
type lcr uint8

const (
	lcr8N1  lcr = 3      // 8 bits, no parity, 1 stop bit
	lcrDLAB lcr = 1 << 7 // Divisor Latch Access
)

// mcr holds the outputs [16550 8.8].
type mcr uint8

const (
	mcrDTR  mcr = 1 << 0
	mcrRTS  mcr = 1 << 1
	mcrOUT2 mcr = 1 << 3 // on a PC: lets the interrupt through
)

// lsr is the state of the line [16550 8.4].
type lsr uint8

const (
	lsrDR   lsr = 1 << 0 // Data Ready
	lsrOE   lsr = 1 << 1 // Overrun Error
	lsrPE   lsr = 1 << 2 // Parity Error
	lsrFE   lsr = 1 << 3 // Framing Error
	lsrBI   lsr = 1 << 4 // Break Interrupt
	lsrTHRE lsr = 1 << 5 // Transmitter Holding Register Empty; with FIFOs: the FIFO is empty
	lsrTEMT lsr = 1 << 6 // Transmitter Empty
)

// Depths in bytes.
const (
	fifoDepth    = 16
	triggerLevel = 14 // as fcrLevel14 says
)
