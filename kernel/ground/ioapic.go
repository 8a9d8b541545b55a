package ground

// I/O APICs [82093AA]: an index register that chooses what the data register is, with an entry for each interrupt line.
// All lines go to the first CPU.
const (
	ioapicIndex = 0x00
	ioapicData  = 0x10

	ioapicVersion = 0x01 // bits 16–23: number of the last entry
	ioapicEntry   = 0x10 // entry n: two registers, of which the second holds the destination in bits 24–31

	entryNMI    = 0x400
	entryLevel  = 1 << 15
	entryMasked = 1 << 16

	defaultIOAPIC = 0xfec00000
	maxIOAPICs    = 4
)

// maxLines bounds the interrupt lines: two I/O APICs of 24. Messages of devices [PCI 3.0 6.8] are sources of interrupts behind
// them, and need no I/O APIC.
const (
	maxLines    = 48
	maxMessages = 32
	maxSources  = maxLines + maxMessages
)

const counted = 1<<64 - 1

// ioapic is an I/O APIC.
type ioapic struct {
	base  uint64 // address of its registers
	first uint64 // its first line, or counted: behind those of the one before, as with the MP table
	lines uint64 // 0 until initIOAPICs
	index uint64 // what the index register holds; 0 is never used
}

// ioapicLock guards the registers of the I/O APICs, which are reached by an index register, and lineEntries.
var ioapicLock spinlock

// lineEntries holds what the lower halves of the lines' entries are; 0 for a line that is not open.
var lineEntries [maxLines]uint32

func (a *ioapic) choose(register uint64) {
	if a.index != register {
		a.index = register
		mmioWrite32(a.base+ioapicIndex, uint32(register))
	}
}

func (a *ioapic) read(register uint64) uint32 {
	a.choose(register)
	return mmioRead32(a.base + ioapicData)
}

func (a *ioapic) write(register uint64, v uint32) {
	a.choose(register)
	mmioWrite32(a.base+ioapicData, v)
}

// initIOAPICs masks all lines, of the old interrupt controllers, too [8259A].
func initIOAPICs() {
	const picMaster, picSlave = 0x21, 0xa1
	out8(picMaster, 0xff)
	out8(picSlave, 0xff)
	next := uint64(0)
	for i := uint64(0); i < ioapicCount; i++ {
		a := &ioapics[i%maxIOAPICs]
		version := a.read(ioapicVersion)
		if version&0xff == 0 || version == 0xffffffff {
			refuse("the machine has no I/O APIC where one should be")
		}
		a.lines = uint64(version>>16&0xff) + 1
		if a.first == counted {
			a.first = next
		}
		next = a.first + a.lines
		for n := uint64(0); n < a.lines; n++ {
			a.write(ioapicEntry+2*n, entryMasked)
		}
	}
}

// lineAPIC returns the I/O APIC of a line and the number of its entry's first register; register 0 if there is no such line.
func lineAPIC(line uint64) (a *ioapic, register uint64) {
	for i := uint64(0); i < ioapicCount; i++ {
		a = &ioapics[i%maxIOAPICs]
		if line >= a.first && line < a.first+a.lines && line < maxLines {
			return a, ioapicEntry + 2*(line-a.first)
		}
	}
	return a, 0
}

// openLine routes a line to the first CPU, and tells whether there is such a line.
func openLine(line uint64, level bool) bool {
	a, register := lineAPIC(line)
	if register == 0 {
		return false
	}
	entry := uint32(vecLine + line)
	if level {
		entry |= entryLevel
	}
	ioapicLock.lock()
	lineEntries[line%maxLines] = entry
	a.route(register, entry)
	ioapicLock.unlock()
	return true
}

// openNMI makes a line, an edge, a non-maskable interrupt of the first CPU, and tells whether there is such a line.
func openNMI(line uint64) bool {
	a, register := lineAPIC(line)
	if register == 0 {
		return false
	}
	ioapicLock.lock()
	a.route(register, entryNMI)
	ioapicLock.unlock()
	return true
}

// route makes an entry interrupt the first CPU.
func (a *ioapic) route(register uint64, entry uint32) {
	a.write(register, entryMasked)
	a.write(register+1, uint32(cpuByID(0).lapicID<<24))
	a.write(register, entry)
}

// maskLine keeps a level-triggered line from interrupting again before its driver has served the device. Edges needn't be
// masked, and would be lost if they were [82093AA 3.2.4].
func maskLine(line uint64) { setMask(line, entryMasked) }

func unmaskLine(line uint64) { setMask(line, 0) }

func setMask(line uint64, mask uint32) {
	if lineEntries[line%maxLines]&entryLevel == 0 {
		return
	}
	if a, register := lineAPIC(line); register != 0 {
		ioapicLock.lock()
		a.write(register, lineEntries[line%maxLines]|mask)
		ioapicLock.unlock()
	}
}
