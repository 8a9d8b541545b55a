package e1000

// register is the offset, in bytes, of a register whose bits have type B: storing the bits of
// another register doesn't compile.
type register[B ~uint32] uint32

// load reads a register.
func load[B ~uint32](d *Device, r register[B]) B { return B(d.registers.Load32(uint32(r))) }

// store writes a register.
func store[B ~uint32](d *Device, r register[B], v B) { d.registers.Store32(uint32(r), uint32(v)) }

// Registers [8254x 13.4]. RC: cleared by reading.
const (
	regCTRL   register[ctrl]   = 0x0000 // Device Control, RW [8254x 13.4.1]
	regSTATUS register[status] = 0x0008 // Device Status, RO [8254x 13.4.2]
	regEERD   register[eerd]   = 0x0014 // EEPROM Read, RW [8254x 13.4.4]
	regFCAL   register[raw]    = 0x0028 // Flow Control Address Low, RW [8254x 13.4.11]
	regFCAH   register[raw]    = 0x002C // Flow Control Address High, RW [8254x 13.4.12]
	regFCT    register[raw]    = 0x0030 // Flow Control Type, RW [8254x 13.4.13]
	regICR    register[cause]  = 0x00C0 // Interrupt Cause Read, RC [8254x 13.4.17]
	regITR    register[raw]    = 0x00C4 // Interrupt Throttling, RW, 256 ns [8254x 13.4.18]
	regIMS    register[cause]  = 0x00D0 // Interrupt Mask Set/Read, RW [8254x 13.4.20]
	regIMC    register[cause]  = 0x00D8 // Interrupt Mask Clear, WO [8254x 13.4.21]
	regRCTL   register[rctl]   = 0x0100 // Receive Control, RW [8254x 13.4.22]
	regFCTTV  register[raw]    = 0x0170 // Flow Control Transmit Timer Value, RW [8254x 13.4.15]
	regTCTL   register[tctl]   = 0x0400 // Transmit Control, RW [8254x 13.4.33]
	regTIPG   register[tipg]   = 0x0410 // Transmit Inter Packet Gap, RW [8254x 13.4.34]
	regRDBAL  register[raw]    = 0x2800 // Receive Descriptor Base Address Low, RW [8254x 13.4.25]
	regRDBAH  register[raw]    = 0x2804 // Receive Descriptor Base Address High, RW [8254x 13.4.26]
	regRDLEN  register[raw]    = 0x2808 // Receive Descriptor Length, RW, bytes [8254x 13.4.27]
	regRDH    register[raw]    = 0x2810 // Receive Descriptor Head, RW, descriptors [8254x 13.4.28]
	regRDT    register[raw]    = 0x2818 // Receive Descriptor Tail, RW, descriptors [8254x 13.4.29]
	regRDTR   register[raw]    = 0x2820 // Receive Delay Timer, RW [8254x 13.4.30]
	regRADV   register[raw]    = 0x282C // Receive Absolute Delay Timer, RW [8254x 13.4.31]
	regTDBAL  register[raw]    = 0x3800 // Transmit Descriptor Base Address Low, RW [8254x 13.4.36]
	regTDBAH  register[raw]    = 0x3804 // Transmit Descriptor Base Address High, RW [8254x 13.4.37]
	regTDLEN  register[raw]    = 0x3808 // Transmit Descriptor Length, RW, bytes [8254x 13.4.38]
	regTDH    register[raw]    = 0x3810 // Transmit Descriptor Head, RW, descriptors [8254x 13.4.39]
	regTDT    register[raw]    = 0x3818 // Transmit Descriptor Tail, RW, descriptors [8254x 13.4.40]
	regMPC    register[raw]    = 0x4010 // Missed Packets Count, RC [8254x 13.7.5]
	regRNBC   register[raw]    = 0x40A0 // Receive No Buffers Count, RC [8254x 13.7.30]
	regRAL0   register[raw]    = 0x5400 // Receive Address Low 0, RW [8254x 13.5.2]
	regRAH0   register[rah]    = 0x5404 // Receive Address High 0, RW [8254x 13.5.3]
)

// raw is the type of registers that are one number.
type raw uint32

type ctrl uint32

const (
	ctrlLRST   ctrl = 1 << 3  // Link Reset
	ctrlASDE   ctrl = 1 << 5  // Auto-Speed Detection Enable
	ctrlSLU    ctrl = 1 << 6  // Set Link Up
	ctrlILOS   ctrl = 1 << 7  // Invert Loss-of-Signal
	ctrlRST    ctrl = 1 << 26 // Device Reset; self-clearing
	ctrlVME    ctrl = 1 << 30 // VLAN Mode Enable: the card would take the tags away
	ctrlPHYRST ctrl = 1 << 31 // PHY Reset
)

type status uint32

const statusLU status = 1 << 1 // Link Up

type eerd uint32

const (
	eerdSTART eerd = 1 << 0 // Start Read
	eerdDONE  eerd = 1 << 4 // Read Done

	eerdAddressShift = 8
	eerdDataShift    = 16
)

// cause is the type of the bits of ICR, IMS and IMC.
type cause uint32

const (
	causeLSC    cause = 1 << 2 // Link Status Change
	causeRXDMT0 cause = 1 << 4 // Receive Descriptor Minimum Threshold
	causeRXO    cause = 1 << 6 // Receiver Overrun
	causeRXT0   cause = 1 << 7 // Receiver Timer: a frame has been received
	causeAll    cause = ^cause(0)
)

type rctl uint32

const (
	rctlEN    rctl = 1 << 1  // Receiver Enable
	rctlSBP   rctl = 1 << 2  // Store Bad Packets
	rctlMPE   rctl = 1 << 4  // Multicast Promiscuous Enable
	rctlRDMTS rctl = 0 << 8  // Receive Descriptor Minimum Threshold Size: half of the ring
	rctlBAM   rctl = 1 << 15 // Broadcast Accept Mode
	rctlBSIZE rctl = 0 << 16 // Receive Buffer Size: 2048 bytes
	rctlSECRC rctl = 1 << 26 // Strip Ethernet CRC
)

type tctl uint32

const (
	tctlEN   tctl = 1 << 1     // Transmit Enable
	tctlPSP  tctl = 1 << 3     // Pad Short Packets
	tctlCT   tctl = 0x0F << 4  // Collision Threshold: the value recommended
	tctlCOLD tctl = 0x40 << 12 // Collision Distance: full duplex
)

type tipg uint32

// tipgDefault is what the manual recommends for copper: IPGT 10, IPGR1 8, IPGR2 6 [8254x 13.4.34].
const tipgDefault tipg = 10 | 8<<10 | 6<<20

type rah uint32

const (
	rahAddress rah = 0xFFFF  // mask
	rahAV      rah = 1 << 31 // Address Valid
)
