package packettest

import (
	"fmt"
	"math/rand/v2"
)

// Damaged returns broken versions of frames: bits turned, bytes cut off or put in, lengths changed. They are the same in
// every run.
func Damaged(frames []Frame, each int) []Frame {
	var all []Frame
	random := rand.New(rand.NewPCG(4, 2))
	for _, f := range frames {
		for n := range each {
			b := append([]byte(nil), f.Data...)
			for range 1 + random.IntN(3) {
				b = damage(b, random)
			}
			all = append(all, Frame{fmt.Sprintf("%s, damaged %d", f.Name, n), b})
		}
	}
	return all
}

// damage does one thing to b. Headers, at the start, suffer most.
func damage(b []byte, random *rand.Rand) []byte {
	if len(b) < 20 {
		return append(b, byte(random.Uint32()))
	}
	at := random.IntN(min(len(b), 100))
	switch random.IntN(9) {
	case 0:
		return b[:at]
	case 1:
		return append(b, make([]byte, random.IntN(20))...)
	case 2:
		return append(b[:at:at], b[min(at+1+random.IntN(4), len(b)):]...)
	case 3:
		b[at] = byte(random.Uint32())
	case 4:
		b[at] = 0
	case 5:
		b[at] = 0xff
	case 6:
		for i := at; i < min(at+2, len(b)); i++ {
			b[i] = byte(random.Uint32())
		}
	default:
		b[at] ^= 1 << random.IntN(8)
	}
	return b
}
