package pcapng

// options walks a list of options.
//
//	for o := d.options(b); o.next(); {
//		switch o.code { … o.value … }
//	}
type options struct {
	d     *Reader
	b     []byte
	code  int
	value []byte
}

// options returns a walk of the options at the start of b.
func (d *Reader) options(b []byte) options { return options{d: d, b: b} }

// next moves to the next option; false behind the last, or where the list breaks off, which it notes.
func (o *options) next() bool {
	if len(o.b) < 4 { // none, because bodies are multiples of 4: the end mark may be missing [pcapng 3.5]
		return false
	}
	o.code = int(o.d.u16(o.b))
	size := int(o.d.u16(o.b[2:]))
	if o.code == optEnd {
		return false
	}
	o.b = o.b[4:]
	if size > len(o.b) {
		o.d.note("option %d has %d of %d bytes", o.code, len(o.b), size)
		return false
	}
	o.value = o.b[:size]
	o.b = o.b[min(padded(size), len(o.b)):]
	return true
}

// sized tells whether the value has the size it must have, and notes if it hasn't.
func (o *options) sized(want int) bool {
	if len(o.value) != want {
		o.d.note("option %d has %d bytes, want %d", o.code, len(o.value), want)
		return false
	}
	return true
}

// text returns the value as a string, which a zero byte ends [pcapng 3.5].
func (o *options) text() string {
	for i, c := range o.value {
		if c == 0 {
			return string(o.value[:i])
		}
	}
	return string(o.value)
}

// count returns the value as a number of 8 bytes.
func (o *options) count() Count {
	if !o.sized(8) {
		return Count{}
	}
	return Known(o.d.u64(o.value))
}

// padded rounds up to a multiple of 4.
func padded(n int) int { return (n + 3) &^ 3 }
