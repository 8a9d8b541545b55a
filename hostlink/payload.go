package hostlink

import "encoding/binary"

// PayloadError tells of a frame whose payload doesn't have the size of its type.
type PayloadError struct {
	Type Type
	Got  int // bytes
	Want int // bytes
}

func (e *PayloadError) Error() string {
	return "hostlink: " + e.Type.String() + " frame with " + utoa(uint64(e.Got)) + " bytes of payload, want " + utoa(uint64(e.Want))
}

// check compares the size of a payload with the size that its type has.
func check(t Type, payload []byte, want int) error {
	if len(payload) != want {
		return &PayloadError{Type: t, Got: len(payload), Want: want}
	}
	return nil
}

// ExitStatus is the payload of Exit: how the program ended.
type ExitStatus struct {
	Signalled bool   // ended by a signal, not by exit
	Number    uint32 // exit status or signal number
}

// Append appends the payload.
func (s ExitStatus) Append(dst []byte) []byte {
	kind := byte(0)
	if s.Signalled {
		kind = 1
	}
	return binary.LittleEndian.AppendUint32(append(dst, kind), s.Number)
}

// ParseExit reads the payload of Exit.
func ParseExit(payload []byte) (ExitStatus, error) {
	if err := check(Exit, payload, 5); err != nil {
		return ExitStatus{}, err
	}
	if payload[0] > 1 {
		return ExitStatus{}, &FormatError{Offset: NoOffset, Field: "kind of exit", Got: uint64(payload[0]), Want: "0 or 1"}
	}
	return ExitStatus{Signalled: payload[0] == 1, Number: binary.LittleEndian.Uint32(payload[1:])}, nil
}

// Window is the payload of WinSize: the size of the terminal in characters.
type Window struct {
	Rows    uint16
	Columns uint16
}

// Append appends the payload.
func (w Window) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, w.Rows)
	return binary.LittleEndian.AppendUint16(dst, w.Columns)
}

// ParseWinSize reads the payload of WinSize.
func ParseWinSize(payload []byte) (Window, error) {
	if err := check(WinSize, payload, 4); err != nil {
		return Window{}, err
	}
	return Window{Rows: binary.LittleEndian.Uint16(payload), Columns: binary.LittleEndian.Uint16(payload[2:])}, nil
}

// Modes is the payload of TermMode: the flag words of termios(3), with Linux's bits.
type Modes struct {
	Lflag uint32
	Iflag uint32
	Oflag uint32
}

// Append appends the payload.
func (m Modes) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, m.Lflag)
	dst = binary.LittleEndian.AppendUint32(dst, m.Iflag)
	return binary.LittleEndian.AppendUint32(dst, m.Oflag)
}

// ParseTermMode reads the payload of TermMode.
func ParseTermMode(payload []byte) (Modes, error) {
	if err := check(TermMode, payload, 12); err != nil {
		return Modes{}, err
	}
	return Modes{
		Lflag: binary.LittleEndian.Uint32(payload),
		Iflag: binary.LittleEndian.Uint32(payload[4:]),
		Oflag: binary.LittleEndian.Uint32(payload[8:]),
	}, nil
}

// AppendCredit appends the payload of Credit: n more bytes of Stdin may be sent.
func AppendCredit(dst []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(dst, n) }

// ParseCredit reads the payload of Credit.
func ParseCredit(payload []byte) (uint32, error) {
	if err := check(Credit, payload, 4); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(payload), nil
}

// BootTimes is the payload of Timing: when the boot reached its stages, in nanoseconds since the machine's clock (the
// TSC) was zero.
type BootTimes struct {
	Stub    uint64 // the first instruction of the kernel image
	Ground  uint64 // the layer below the Go runtime
	Runtime uint64 // the Go runtime
	Kernel  uint64 // the kernel's main function
	Ready   uint64 // the frame Ready was about to be sent
	Program uint64 // the program's first instruction
}

// Append appends the payload.
func (b BootTimes) Append(dst []byte) []byte {
	for _, v := range [...]uint64{b.Stub, b.Ground, b.Runtime, b.Kernel, b.Ready, b.Program} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

// ParseTiming reads the payload of Timing.
func ParseTiming(payload []byte) (b BootTimes, err error) {
	if err := check(Timing, payload, 6*8); err != nil {
		return b, err
	}
	for i, v := range [...]*uint64{&b.Stub, &b.Ground, &b.Runtime, &b.Kernel, &b.Ready, &b.Program} {
		*v = binary.LittleEndian.Uint64(payload[8*i:])
	}
	return b, nil
}

// AppendSignal appends the payload of Signal, a Linux signal number.
func AppendSignal(dst []byte, number uint8) []byte { return append(dst, number) }

// ParseSignal reads the payload of Signal. Linux has the signals 1 to 64 [signal(7)].
func ParseSignal(payload []byte) (uint8, error) {
	if err := check(Signal, payload, 1); err != nil {
		return 0, err
	}
	if n := payload[0]; n < 1 || n > 64 {
		return 0, &FormatError{Offset: NoOffset, Field: "signal", Got: uint64(n), Want: "1 to 64"}
	}
	return payload[0], nil
}

// AppendReady appends the payload of Ready.
func AppendReady(dst []byte) []byte { return append(dst, Version) }

// ParseReady reads the payload of Ready; another version than ours is an error.
func ParseReady(payload []byte) error {
	if err := check(Ready, payload, 1); err != nil {
		return err
	}
	if payload[0] != Version {
		return &FormatError{Offset: NoOffset, Field: "version", Got: uint64(payload[0]), Want: utoa(Version)}
	}
	return nil
}

// utoa is strconv's, without strconv's tables in a package that all others import.
func utoa(n uint64) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
