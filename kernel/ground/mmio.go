package ground

import "sync/atomic"

// Device registers are reached by atomic operations only, which the compiler neither splits, merges nor moves.

func mmioRead32(va uint64) uint32 { return atomic.LoadUint32(p32(va)) }

func mmioWrite32(va uint64, v uint32) { atomic.StoreUint32(p32(va), v) }
