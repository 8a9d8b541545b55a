package virtio

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/hw"
)

// served is a device with three queues that is being served.
type served struct {
	m      *virtiotest.Device
	d      *Device
	queues []*Queue
	calls  chan bool // what service was told of the configuration
	result chan error
}

// serve opens a device behind PCI interrupts.
func serve(t *testing.T, m *virtiotest.Device, p *virtiotest.PCI) *served {
	t.Helper()
	tr, err := NewPCI(p.Function(), p.Window, PCIInterrupts{Line: p.Line, Message: p.Message})
	if err != nil {
		t.Fatal(err)
	}
	s := &served{m: m, calls: make(chan bool), result: make(chan error, 1)}
	if s.d, err = Open(tr, m, nil); err != nil {
		t.Fatal(err)
	}
	for i := range m.Queues {
		q, err := s.d.NewQueue(uint16(i), QueueConfig{Size: 8, Segments: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.queues = append(s.queues, q)
	}
	if err := s.d.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.result <- s.d.Serve(func(config bool) error {
			for _, q := range s.queues {
				for _, ok, err := q.Take(); ok; _, ok, err = q.Take() {
					if err != nil {
						return err
					}
				}
				q.EnableInterrupts()
			}
			s.calls <- config
			return nil
		})
	}()
	<-s.calls
	return s
}

// use has the device use a chain of a queue, and returns what service is told.
func (s *served) use(t *testing.T, i int) (config bool) {
	t.Helper()
	segment, _ := memory(t, s.m, 16)
	if err := s.queues[i].Add(1, []Segment{segment}, nil); err != nil {
		t.Fatal(err)
	}
	s.queues[i].Publish()
	c, ok := s.m.Queues[i].Pop()
	if !ok {
		t.Fatalf("queue %d: nothing was published", i)
	}
	s.m.Queues[i].Push(c.ID, 0)
	s.m.Queues[i].Signal()
	return <-s.calls
}

func (s *served) end(t *testing.T) {
	t.Helper()
	s.d.Close()
	if err := <-s.result; !errors.Is(err, virtiotest.ErrClosed) {
		t.Error(err)
	}
}

// TestMessages: the configuration and each queue have a message, as far as there are some; what has none shares the last. A
// device without messages, or one that refuses them, has INTx. Whichever it is, all that the device does arrives.
func TestMessages(t *testing.T) {
	refuse := func(queues ...int) func(int, uint16) bool {
		return func(queue int, _ uint16) bool { return slices.Contains(queues, queue) }
	}
	for _, c := range []struct {
		name          string
		entries, left int
		refuse        func(queue int, vector uint16) bool
		want          []int // how often each message is raised: by a change of the configuration, once by queue 0, twice by 1, 3 times by 2
	}{
		{"one each", 4, 10, nil, []int{1, 1, 2, 3}},
		{"more than needed", 256, 10, nil, []int{1, 1, 2, 3}},
		{"a table of three", 3, 10, nil, []int{1, 1, 5}},
		{"a table of two", 2, 10, nil, []int{1, 6}},
		{"a table of one", 1, 10, nil, []int{7}},
		{"three in the machine", 4, 3, nil, []int{1, 1, 5}},
		{"one in the machine", 4, 1, nil, []int{7}},
		{"none in the machine", 4, 0, nil, nil},
		{"the configuration's is refused", 4, 10, refuse(-1), nil},
		{"that of queue 2 is refused", 4, 10, refuse(2), nil},
		{"the fourth is refused", 4, 10, func(_ int, v uint16) bool { return v == 3 }, []int{1, 1, 5}},
		{"all but the first are refused", 4, 10, func(_ int, v uint16) bool { return v > 0 }, []int{7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := virtiotest.New(1, virtiotest.EventIdx, testConfig(), 8, 8, 8)
			m.RefuseVector = c.refuse
			p := m.PCI()
			p.AddMessages(c.entries, c.left)
			s := serve(t, m, p)
			m.SetConfig(func([]byte) {})
			if !<-s.calls {
				t.Error("a change of the configuration isn't told")
			}
			shared := len(c.want) == 1 // then an interrupt may be about the configuration
			for i := range 3 {
				for range i + 1 {
					if config := s.use(t, i); config != shared {
						t.Errorf("queue %d: service was told %v of the configuration", i, config)
					}
				}
			}
			if got := m.Messages(); !slices.Equal(got, c.want) {
				t.Errorf("messages were raised %v times, want %v", got, c.want)
			}
			if m.LineOpen() != (c.want == nil) || m.Interrupts() != 7 {
				t.Errorf("INTx is used: %v; %d interrupts", m.LineOpen(), m.Interrupts())
			}
			if text := s.d.transport.String(); strings.Contains(text, "INTx") != (c.want == nil) {
				t.Errorf("it calls itself %q", text)
			}
			s.end(t)
		})
	}
}

// TestMessageBeforeServe: one that comes before somebody waits for it isn't lost.
func TestMessageBeforeServe(t *testing.T) {
	m := virtiotest.New(1, 0, testConfig(), 8)
	m.OnStatus = func(status uint8) {
		if Status(status)&StatusDriverOK != 0 {
			m.SetConfig(func([]byte) {})
		}
	}
	p := m.PCI()
	p.AddMessages(2, 2)
	s := serve(t, m, p)
	if !<-s.calls {
		t.Error("the change of the configuration isn't told")
	}
	s.end(t)
}

// TestMessagesThatCantBe: a function may say anything about its table; there is INTx then.
func TestMessagesThatCantBe(t *testing.T) {
	le := binary.LittleEndian
	for name, change := range map[string]func(capability []byte){
		"no such BAR":          func(c []byte) { le.PutUint32(c[4:], 7) },
		"BAR 0, which isn't":   func(c []byte) { le.PutUint32(c[4:], 0) },
		"behind the BAR":       func(c []byte) { le.PutUint32(c[4:], 0x1FF8|1) },
		"far behind":           func(c []byte) { le.PutUint32(c[4:], 0xFFFFFFF8|1) },
		"too many for the BAR": func(c []byte) { le.PutUint16(c[2:], 0x7FF) },
		"another capability":   func(c []byte) { c[0] = 0x10 },
	} {
		m := virtiotest.New(1, 0, testConfig(), 8)
		p := m.PCI()
		p.AddMessages(2, 2)
		change(p.Space[0xC0:])
		s := serve(t, m, p)
		s.use(t, 0)
		if !m.LineOpen() || m.Messages() != nil {
			t.Errorf("%s: INTx is used: %v, messages %v", name, m.LineOpen(), m.Messages())
		}
		s.end(t)
	}
}

// TestNoInterruptAtAll: neither messages nor INTx.
func TestNoInterruptAtAll(t *testing.T) {
	m := virtiotest.New(1, 0, testConfig(), 8)
	p := m.PCI()
	none := errors.New("no line")
	tr, err := NewPCI(p.Function(), p.Window, PCIInterrupts{Line: func() (hw.Interrupt, error) { return nil, none }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(tr, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.NewQueue(0, QueueConfig{Size: 8, Segments: 1}); !errors.Is(err, none) {
		t.Error(err)
	}
}

// TestFailureEndsAllSources: an error of service, on whichever goroutine, ends Serve.
func TestFailureEndsAllSources(t *testing.T) {
	m := virtiotest.New(1, 0, testConfig(), 8, 8)
	p := m.PCI()
	p.AddMessages(3, 3)
	s := serve(t, m, p)
	m.NeedReset()
	if err := <-s.result; err != ErrNeedsReset {
		t.Error(err)
	}
	if got := m.Messages(); got != nil {
		t.Errorf("messages that are still open: %v", got)
	}
}
