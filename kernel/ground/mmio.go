package ground

// Device registers are read and written by single MOVs in assembly, which the compiler neither splits, merges nor moves.
// (An atomic store of Go is an XCHG, which reads the register, too.)

func mmioRead32(va uint64) uint32
func mmioWrite32(va uint64, v uint32)
