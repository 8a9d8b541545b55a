package virtio

import "sync"

// Serve calls service at once, and after each interrupt; config tells whether the configuration may have changed. A device may
// have several interrupts, each with a goroutine that waits for it, but service runs on one at a time. Serve returns when
// the interrupts have ended (see Close), with their error, or when service or the device has failed. They have ended then, in any case.
//
// An interrupt is acknowledged before service runs and unmasked after it, so that whatever the device does
// meanwhile brings another one: service finds everything if it looks once at each queue after Queue.EnableInterrupts.
func (d *Device) Serve(service func(config bool) error) error {
	s := &server{device: d, service: service}
	if s.serve(true) {
		var others sync.WaitGroup
		sources := d.transport.Sources()
		for _, source := range sources[1:] {
			others.Go(func() { s.follow(source) })
		}
		s.follow(sources[0])
		others.Wait()
	}
	d.Close()
	return s.err
}

// server is one call of Serve.
type server struct {
	device  *Device
	service func(config bool) error

	mu  sync.Mutex // held while service runs
	err error      // guarded by mu; why it is over
}

// serve does what an interrupt asks for, and tells whether there is more to come.
func (s *server) serve(config bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && config && s.device.transport.Status()&StatusNeedsReset != 0 {
		s.err = ErrNeedsReset
	}
	if s.err == nil {
		s.err = s.service(config)
	}
	return s.err == nil
}

// follow serves the interrupts of a source until one of all fails. It ends those of the others, too.
func (s *server) follow(source Source) {
	defer s.device.Close()
	for {
		err := source.Interrupt.Unmask()
		if err == nil {
			err = source.Interrupt.Wait()
		}
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.err == nil {
				s.err = err
			}
			return
		}
		if !s.serve(source.Acknowledge()&CauseConfig != 0) {
			return
		}
	}
}

// Close ends the interrupts of the device, and with them Serve. It tells whether that was possible.
func (d *Device) Close() bool {
	all := true
	for _, source := range d.transport.Sources() {
		all = closeInterrupt(source.Interrupt) && all
	}
	return all
}
