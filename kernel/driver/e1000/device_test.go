package e1000

import (
	"errors"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"wick/kernel/driver/e1000/e1000test"
	"wick/kernel/hw"
)

// link is kernel/net's Link, which this package may not import.
var _ interface {
	HardwareAddr() [6]byte
	MTU() int
	Transmit(pieces ...[]byte) error
	Attach(receive func(frame []byte))
	LinkUp() bool
	OnLinkChange(changed func(up bool))
	Screen(screen func(frame []byte) (drop string))
} = (*Device)(nil)

func TestDescriptorLayout(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[rxDesc](), reflect.TypeFor[txDesc]()} {
		if typ.Size() != descSize || typ.Field(0).Offset != 0 || typ.Field(1).Offset != 8 {
			t.Errorf("%v: %d bytes, fields at %d and %d", typ, typ.Size(), typ.Field(0).Offset, typ.Field(1).Offset)
		}
	}
}

func TestNewSetsUpTheCard(t *testing.T) {
	m := e1000test.New(testMAC)
	var order []uint32
	reset := -1
	m.OnStore = func(offset, v uint32) {
		if offset == uint32(regCTRL) && v == 1<<26 {
			reset = len(order)
		}
		order = append(order, offset)
	}
	d := start(t, m, nil)
	if reset < 0 {
		t.Error("no reset")
	}
	for _, r := range []register[raw]{regRDBAL, regRDBAH, regRDLEN, regRDH, regRDT, regTDBAL, regTDBAH, regTDLEN, regTDH, regTDT, regITR, regRDTR, regRADV} {
		if m.Stores(uint32(r)) == 0 {
			t.Errorf("register %#x was not written", uint32(r))
		}
	}
	if n := m.Stores(uint32(regRCTL)); n != 1 || order[len(order)-1] != uint32(regRCTL) {
		t.Errorf("RCTL was written %d times, and last was %#x", n, order[len(order)-1])
	}
	if len(order) > 40 {
		t.Errorf("%d stores; each is an exit before reception starts", len(order))
	}
	for _, c := range []struct {
		register, want uint32
	}{
		{0x100, 0x04008016}, {0x400, 0x0004_00FA}, {0x410, 0x0060200A},
		{0xD0, 0xD4}, {0x2808, 4096}, {0x2818, 255}, {0x3808, 1024}, {0x3818, 0},
		{0x5400, 0x12005452}, {0x5404, 0x80005634},
	} {
		if got := m.Register(c.register); got != c.want {
			t.Errorf("register %#x is %#x, want %#x", c.register, got, c.want)
		}
	}
	if d.HardwareAddr() != testMAC || d.MTU() != 1500 || !d.LinkUp() {
		t.Errorf("got % x, %d, %v", d.HardwareAddr(), d.MTU(), d.LinkUp())
	}
}

func TestNewFailsIfResetNeverEnds(t *testing.T) {
	m := e1000test.New(testMAC)
	m.StuckReset = true
	if _, err := New(Config{Registers: m, Memory: m, Interrupt: m}); err != ErrReset {
		t.Errorf("got %v", err)
	}
}

func TestAddress(t *testing.T) {
	other := [6]byte{0x02, 0, 0, 0, 0, 1}
	for _, c := range []struct {
		name      string
		eeprom    [6]byte
		noEEPROM  bool
		low, high uint32
		want      [6]byte
		err       error
	}{
		{name: "EEPROM", eeprom: testMAC, low: 2, high: 0x80000100, want: testMAC},
		{name: "no EEPROM", noEEPROM: true, low: 2, high: 0x80000100, want: other},
		{name: "blank EEPROM", eeprom: [6]byte{255, 255, 255, 255, 255, 255}, low: 2, high: 0x80000100, want: other},
		{name: "zero EEPROM", low: 2, high: 0x80000100, want: other},
		{name: "RAL not valid", noEEPROM: true, low: 2, high: 0x100, err: ErrNoAddress},
		{name: "RAL of a group", noEEPROM: true, low: 3, high: 0x80000100, err: ErrNoAddress},
		{name: "nothing", err: ErrNoAddress},
	} {
		m := e1000test.New(c.eeprom)
		m.NoEEPROM = c.noEEPROM
		m.SetReceiveAddress(c.low, c.high)
		d, err := New(Config{Registers: m, Memory: m, Interrupt: m})
		if err != c.err {
			t.Errorf("%s: got %v", c.name, err)
		} else if err == nil && d.HardwareAddr() != c.want {
			t.Errorf("%s: got % x", c.name, d.HardwareAddr())
		}
	}
}

// badMemory is an allocator that changes the nth answer of another one.
type badMemory struct {
	hw.Allocator
	nth    int
	change func(*hw.DMA) error
	n      int
}

func (b *badMemory) AllocDMA(size int) (hw.DMA, error) {
	m, err := b.Allocator.AllocDMA(size)
	if b.n++; b.n == b.nth {
		err = b.change(&m)
	}
	return m, err
}

func TestNewChecksMemory(t *testing.T) {
	full := errors.New("no memory")
	for n := 1; n <= 4; n++ {
		for _, c := range []struct {
			change func(*hw.DMA) error
			want   error
		}{
			{func(*hw.DMA) error { return full }, full},
			{func(m *hw.DMA) error { m.Addr = 1<<32 - 64; return nil }, ErrDMAAddress},
			{func(m *hw.DMA) error { m.Addr += 8; return nil }, ErrDMAAddress},
			{func(m *hw.DMA) error { m.Data = m.Data[1:]; return nil }, ErrDMAAddress},
		} {
			model := e1000test.New(testMAC)
			memory := &badMemory{Allocator: model, nth: n, change: c.change}
			if _, err := New(Config{Registers: model, Memory: memory, Interrupt: model}); err != c.want {
				t.Errorf("allocation %d: got %v, want %v", n, err, c.want)
			}
			if model.Stores(uint32(regRCTL)) != 0 {
				t.Error("the card receives without memory")
			}
		}
	}
	for _, size := range []int{-8, 4, 12, 8192} {
		model := e1000test.New(testMAC)
		for _, c := range []Config{{RxDescriptors: size}, {TxDescriptors: size}} {
			c.Registers, c.Memory, c.Interrupt = model, model, model
			if _, err := New(c); err != ErrRingSize {
				t.Errorf("%d descriptors: got %v", size, err)
			}
		}
	}
}

func TestLinkFlap(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, nil)
	changes := make(chan bool, 10)
	d.OnLinkChange(func(up bool) { changes <- up })
	received := attach(d)
	for range 3 {
		for _, up := range []bool{false, true} {
			m.SetLink(up)
			if got := <-changes; got != up || d.LinkUp() != up {
				t.Fatalf("got %v, LinkUp %v, want %v", got, d.LinkUp(), up)
			}
		}
	}
	deliver(t, m, frame(60, 1))
	expect(t, received, frame(60, 1))
	if n := counter(d, LinkChanges); n != 6 {
		t.Errorf("%d link changes", n)
	}
	d.OnLinkChange(nil)
	m.SetLink(false)
	m.SetLink(true)
	deliver(t, m, frame(60, 2))
	expect(t, received, frame(60, 2))
}

// TestLinkIsTakenAsItIsAtLast: the goroutine that looks for lost interrupts may look at the carrier at the same time as the one that
// receives. The later look counts.
func TestLinkIsTakenAsItIsAtLast(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, nil)
	var changes []bool
	later := make(chan bool)
	d.OnLinkChange(func(up bool) {
		if !up { // when this is told the carrier has come back, and somebody else has seen it
			m.SetLink(true)
			started := make(chan bool)
			go func() {
				close(started)
				d.updateLink()
				close(later)
			}()
			<-started
			for range 100 {
				runtime.Gosched()
			}
		}
		changes = append(changes, up)
	})
	m.SetLink(false)
	d.updateLink()
	<-later
	if !slices.Equal(changes, []bool{false, true}) || !d.LinkUp() {
		t.Errorf("told of %v, up: %v", changes, d.LinkUp())
	}
}

func TestLinkDownAtFirst(t *testing.T) {
	m := e1000test.New(testMAC)
	m.SetLink(false)
	d := start(t, m, nil)
	if d.LinkUp() {
		t.Error("the link is up")
	}
	changes := make(chan bool, 1)
	d.OnLinkChange(func(up bool) { changes <- up })
	m.SetLink(true)
	d.Attach(nil)
	if !<-changes {
		t.Error("got down")
	}
}

func TestInterruptFailureEndsReception(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, nil)
	if d.Err() != nil {
		t.Errorf("got %v before the start", d.Err())
	}
	d.Attach(nil)
	m.Close()
	<-d.Done()
	if d.Err() != e1000test.ErrClosed {
		t.Errorf("got %v", d.Err())
	}
}

func TestCounterNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range NumCounters {
		if c.String() == "" || seen[c.String()] {
			t.Errorf("counter %d is called %q", c, c.String())
		}
		seen[c.String()] = true
	}
	if RxRunt.String() != "rx-runt" || LinkChanges.String() != "link-changes" || NumCounters.String() != "counter?" {
		t.Errorf("got %v, %v, %v", RxRunt, LinkChanges, NumCounters)
	}
}
