package packet

// Offload says what of a frame's making its sender leaves to the card. The zero value says nothing.
type Offload struct {
	// Checksum tells that the card is to add the bytes of the frame from ChecksumStart on, and to put the complement of
	// the sum at ChecksumStart + ChecksumOffset, where the sum of the pseudo header is. All in bytes.
	Checksum       bool
	ChecksumStart  int
	ChecksumOffset int

	// SegmentSize is how many bytes of payload each frame gets that the card makes of this one, which is a TCP segment of
	// any length behind headers of HeaderLen bytes, IPv6 says in which protocol; 0: none, the frame is one. Checksum is
	// needed with it.
	SegmentSize int
	HeaderLen   int
	IPv6        bool
}
