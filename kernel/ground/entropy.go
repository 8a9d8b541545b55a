package ground

// Random numbers for the runtime and the kernel: ChaCha20 [RFC 8439 2.3] with fast key erasure, keyed from
// RDRAND where the CPU has it, from the first bytes of the initial RAM disk, in which wick puts a fresh seed for each
// run, and from the timing of boot. Later the kernel adds what its devices give (AddEntropy).

// randomLock guards the generator.
var randomLock spinlock

var (
	randomKey     [8]uint32
	randomBlock   [16]uint32
	randomCounter uint64
)

const cpuidRDRAND = 1 << 30 // leaf 1, ECX

// initEntropy takes in seed memory, sizeBytes of it.
func initEntropy(seed, sizeBytes uint64) {
	absorb(seed, sizeBytes)
	_, _, features, _ := cpuid(1, 0)
	for i := 0; i < 8; i++ {
		randomKey[i] ^= uint32(rdtsc())
		if features&cpuidRDRAND != 0 {
			if v, ok := rdrand(); ok {
				randomKey[i] ^= uint32(v ^ v>>32)
			}
		}
	}
	rekey()
}

// absorb takes in the bytes of [buf, buf+size). What nobody could guess before stays so, whatever they are.
func absorb(buf, size uint64) {
	randomLock.lock()
	for size > 0 {
		n := min(size, 32)
		for i := uint64(0); i < n; i++ {
			randomKey[i/4%8] ^= uint32(*p8(buf + i)) << (i % 4 * 8)
		}
		rekey()
		buf += n
		size -= n
	}
	randomLock.unlock()
}

// rekey replaces the key by output of the cipher, so that earlier output can't be computed from it.
func rekey() {
	chachaBlock()
	for i := 0; i < 8; i++ {
		randomKey[i] = randomBlock[i]
	}
}

// random fills [buf, buf+size).
func random(buf, size uint64) {
	randomLock.lock()
	for size > 0 {
		chachaBlock()
		n := min(size, 64)
		for i := uint64(0); i < n; i++ {
			*p8(buf + i) = uint8(randomBlock[i/4%16] >> (i % 4 * 8))
		}
		buf += n
		size -= n
	}
	randomKey[0] ^= uint32(rdtsc())
	rekey()
	randomLock.unlock()
}

func chachaBlock() {
	in := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	for i := 0; i < 8; i++ {
		in[4+i] = randomKey[i]
	}
	randomCounter++
	in[12], in[13] = uint32(randomCounter), uint32(randomCounter>>32)
	x := in
	for i := 0; i < 10; i++ {
		quarterRound(&x[0], &x[4], &x[8], &x[12])
		quarterRound(&x[1], &x[5], &x[9], &x[13])
		quarterRound(&x[2], &x[6], &x[10], &x[14])
		quarterRound(&x[3], &x[7], &x[11], &x[15])
		quarterRound(&x[0], &x[5], &x[10], &x[15])
		quarterRound(&x[1], &x[6], &x[11], &x[12])
		quarterRound(&x[2], &x[7], &x[8], &x[13])
		quarterRound(&x[3], &x[4], &x[9], &x[14])
	}
	for i := 0; i < 16; i++ {
		randomBlock[i] = x[i] + in[i]
	}
}

func quarterRound(a, b, c, d *uint32) {
	*a += *b
	*d ^= *a
	*d = *d<<16 | *d>>16
	*c += *d
	*b ^= *c
	*b = *b<<12 | *b>>20
	*a += *b
	*d ^= *a
	*d = *d<<8 | *d>>24
	*c += *d
	*b ^= *c
	*b = *b<<7 | *b>>25
}
