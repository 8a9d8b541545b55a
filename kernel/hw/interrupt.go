package hw

import (
	"os"
	"strconv"
)

// InterruptFile is an Interrupt on one of ground's interrupt files: Read blocks until the interrupt
// has fired, which masks it, and Write unmasks it.
type InterruptFile struct {
	file *os.File
	buf  [8]byte
	word [4]byte
}

// OpenInterrupt opens the interrupt file of an interrupt line.
func OpenInterrupt(line uint8) (*InterruptFile, error) {
	file, err := os.OpenFile("/dev/irq/"+strconv.Itoa(int(line)), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return NewInterruptFile(file), nil
}

// NewInterruptFile returns an Interrupt on an open interrupt file.
func NewInterruptFile(file *os.File) *InterruptFile { return &InterruptFile{file: file} }

// Wait implements Interrupt. One goroutine at a time may wait.
func (i *InterruptFile) Wait() error {
	_, err := i.file.Read(i.buf[:])
	return err
}

// Unmask implements Interrupt.
func (i *InterruptFile) Unmask() error {
	_, err := i.file.Write(i.word[:])
	return err
}

// Close closes the file; Wait returns an error then.
func (i *InterruptFile) Close() error { return i.file.Close() }
