package mm

// Skip moves on by n bytes, or to the end, without touching them.
func (b *Buffer) Skip(n int) {
	for n > 0 && b.left > 0 {
		part := min(n, b.left, int(min(b.at.Len, MaxTransfer)))
		b.advance(part)
		n -= part
	}
}
