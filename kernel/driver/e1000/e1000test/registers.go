package e1000test

// Offsets of registers in bytes, and their bits [8254x 13.4]. The model names them itself, so that a slip
// of the driver's doesn't repeat here.
const (
	ctrl   = 0x0000
	status = 0x0008
	eerd   = 0x0014
	icr    = 0x00C0
	ims    = 0x00D0
	imc    = 0x00D8
	rctl   = 0x0100
	tctl   = 0x0400
	rdbal  = 0x2800
	rdbah  = 0x2804
	rdlen  = 0x2808
	rdh    = 0x2810
	rdt    = 0x2818
	tdbal  = 0x3800
	tdbah  = 0x3804
	tdlen  = 0x3808
	tdh    = 0x3810
	tdt    = 0x3818
	mpc    = 0x4010
	rnbc   = 0x40A0
	ral0   = 0x5400
	rah0   = 0x5404

	windowSize = 128 << 10

	maxFrame = 1518 // bytes without FCS, unless RCTL has LPE or SBP

	ctrlRST = 1 << 26

	statusLU = 1 << 1

	eerdStart = 1 << 0
	eerdDone  = 1 << 4

	causeTXDW = 1 << 0
	causeLSC  = 1 << 2
	causeRXO  = 1 << 6
	causeRXT0 = 1 << 7

	rctlEN    = 1 << 1
	rctlSBP   = 1 << 2
	rctlLPE   = 1 << 5
	rctlBSIZE = 3<<16 | 1<<25 // mask
	rctlSECRC = 1 << 26

	tctlEN = 1 << 1
)

// Bits of descriptors [8254x 3.2.3, 3.3.3].
const (
	// RxDD, RxEOP: status of a receive descriptor.
	RxDD  = 1 << 0
	RxEOP = 1 << 1

	txEOP = 1 << 0 // command
	txRS  = 1 << 3
	txDD  = 1 << 0 // status

	rxIXSM = 1 << 2 // Ignore Checksum Indication; QEMU's card always sets it
)
