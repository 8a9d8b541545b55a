package packet

// Decoder prints frames in the order in which they passed, and remembers what the words for later ones need: window
// scales and first sequence numbers of TCP connections, the fragments of a datagram, the credit of vsock connections.
// What it remembers is bounded; the memory is allocated by NewDecoder. It is not safe for concurrent use.
type Decoder struct {
	// Relative makes TCP's sequence numbers count from the first that was seen of each direction.
	Relative bool
	// LocalCID is the vsock address of this end, 0 if it is not known.
	LocalCID uint64

	flows     flowTable
	datagrams datagramTable
	vsocks    vsockTable
}

// NewDecoder returns a Decoder that remembers about as many connections; those used least recently are forgotten. Each
// takes about 100 bytes.
func NewDecoder(connections int) *Decoder {
	d := &Decoder{}
	d.flows.init(connections)
	d.datagrams.init()
	return d
}

// Append is like the function of that name.
func (d *Decoder) Append(dst []byte, f *Frame, mode Mode) []byte {
	return appendFrame(dst, f, mode, d, nil)
}
