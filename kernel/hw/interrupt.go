package hw

import (
	"os"
	"strconv"
)

// InterruptFile is an Interrupt on one of ground's interrupt files: Read blocks until the interrupt
// has fired, and Write unmasks it.
type InterruptFile struct {
	file  *os.File
	level bool // it is masked when it fires
	buf   [8]byte
	word  [4]byte
}

// Trigger is how a line tells of an interrupt.
type Trigger string

// The triggers. The bus of a device determines which it is: PCI's lines are levels [PCI 3.0 2.2.6], those of ISA
// and of virtio-mmio are edges.
const (
	Edge  Trigger = "edge"
	Level Trigger = "level"
)

// OpenInterrupt opens an interrupt line.
func OpenInterrupt(line uint8, t Trigger) (*InterruptFile, error) {
	return openInterrupt(string(t), line)
}

// OpenMessage opens the interrupt that a device raises by writing message n [PCI 3.0 6.8], which ground describes.
func OpenMessage(n uint8) (*InterruptFile, error) { return openInterrupt("message", n) }

func openInterrupt(kind string, number uint8) (*InterruptFile, error) {
	file, err := os.OpenFile("/dev/irq/"+kind+"/"+strconv.Itoa(int(number)), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return NewInterruptFile(file, kind == string(Level)), nil
}

// NewInterruptFile returns an Interrupt on an open interrupt file, of a level or of an edge.
func NewInterruptFile(file *os.File, level bool) *InterruptFile {
	return &InterruptFile{file: file, level: level}
}

// Wait implements Interrupt. One goroutine at a time may wait.
func (i *InterruptFile) Wait() error {
	_, err := i.file.Read(i.buf[:])
	return err
}

// Unmask implements Interrupt.
func (i *InterruptFile) Unmask() error {
	if !i.level {
		return nil
	}
	_, err := i.file.Write(i.word[:])
	return err
}

// Close closes the file; Wait returns an error then.
func (i *InterruptFile) Close() error { return i.file.Close() }
