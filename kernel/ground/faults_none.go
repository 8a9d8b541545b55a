//go:build !faults

package ground

func provoke(*thread) uint64 { return negErrno(enosys) }
