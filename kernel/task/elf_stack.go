package task

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
)

// AuxInfo is what the auxiliary vector tells a program and the ELF file doesn't, getauxval(3).
type AuxInfo struct {
	UID, EUID, GID, EGID uint32
	Random               [16]byte // AT_RANDOM: fresh for each program
	HWCap                uint64   // AT_HWCAP: CPUID.1:EDX
	HWCap2               uint64   // AT_HWCAP2: bit 1: FSGSBASE instructions work
	MinSigStack          uint64   // AT_MINSIGSTKSZ: bytes that a signal frame takes; 0: not told
	VDSO                 uint64   // AT_SYSINFO_EHDR: address of the vDSO; 0: there is none
}

// Types of auxiliary vector entries, linux/auxvec.h.
const (
	atNull        = 0
	atPhdr        = 3
	atPhent       = 4
	atPhnum       = 5
	atPagesz      = 6
	atBase        = 7
	atFlags       = 8
	atEntry       = 9
	atUID         = 11
	atEUID        = 12
	atGID         = 13
	atEGID        = 14
	atPlatform    = 15
	atHWCap       = 16
	atClkTck      = 17
	atSecure      = 23
	atRandom      = 25
	atHWCap2      = 26
	atExecFn      = 31
	atSysinfoEhdr = 33
	atMinSigStkSz = 51
)

const (
	clockTicks   = 100       // sysconf(_SC_CLK_TCK)
	maxArgString = 128 << 10 // MAX_ARG_STRLEN, execve(2)
	platform     = "x86_64"
)

// auxEntry is an entry of the auxiliary vector.
type auxEntry struct{ kind, value uint64 }

// auxv returns the entries that follow from the ELF file.
func (p *program) auxv(bias uint64) []auxEntry {
	phdr := p.phdr
	if phdr != 0 {
		phdr += bias
	}
	return []auxEntry{
		{atPhdr, phdr}, {atPhent, sizeofPhdr}, {atPhnum, p.phnum},
		{atBase, 0}, {atEntry, p.entry + bias},
	}
}

// stackImage is the upper end of the initial stack while it is put together.
//
//	top     8 zero bytes
//	        strings: path, environment, arguments, platform; the random bytes
//	        padding to 16 bytes; a gap at random
//	        auxiliary vector, ended by AT_NULL
//	        environment pointers, 0
//	        argument pointers, 0
//	sp      argc                                [psABI-x86-64 3.4.1]
type stackImage struct {
	at   uint64 // address of strings[0]
	text []byte
}

// put adds bytes and returns their address.
func (s *stackImage) put(b string) uint64 {
	addr := s.at + uint64(len(s.text))
	s.text = append(s.text, b...)
	return addr
}

// putString adds a string with the zero byte that ends it.
func (s *stackImage) putString(text string) uint64 {
	addr := s.put(text)
	s.text = append(s.text, 0)
	return addr
}

// writeStack writes the initial stack and returns the stack pointer.
func writeStack(space *mm.Space, image *Image, argv, envp []string, aux *AuxInfo, auxv []auxEntry) (sp uint64, err error) {
	layout := space.Layout()
	size, err := stringsSize(image.Path, argv, envp, layout.StackSize/4)
	if err != nil {
		return 0, err
	}
	size += uint64(len(image.Path)+1+len(platform)+1+len(aux.Random)) + 8
	s := stackImage{at: (layout.StackTop - size) &^ 15, text: make([]byte, 0, size+16)}
	words := make([]uint64, 0, 1+len(argv)+1+len(envp)+1+2*32)
	words = append(words, uint64(len(argv)))
	for _, a := range argv {
		words = append(words, s.putString(a))
	}
	words = append(words, 0)
	for _, e := range envp {
		words = append(words, s.putString(e))
	}
	words = append(words, 0)
	auxv = append(auxv,
		auxEntry{atPagesz, mm.PageSize}, auxEntry{atHWCap, aux.HWCap}, auxEntry{atHWCap2, aux.HWCap2},
		auxEntry{atClkTck, clockTicks}, auxEntry{atFlags, 0},
		auxEntry{atUID, uint64(aux.UID)}, auxEntry{atEUID, uint64(aux.EUID)},
		auxEntry{atGID, uint64(aux.GID)}, auxEntry{atEGID, uint64(aux.EGID)}, auxEntry{atSecure, 0},
		auxEntry{atRandom, s.put(string(aux.Random[:]))},
		auxEntry{atPlatform, s.putString(platform)}, auxEntry{atExecFn, s.putString(image.Path)})
	if aux.MinSigStack != 0 {
		auxv = append(auxv, auxEntry{atMinSigStkSz, aux.MinSigStack})
	}
	if aux.VDSO != 0 {
		auxv = append(auxv, auxEntry{atSysinfoEhdr, aux.VDSO})
	}
	for _, a := range append(auxv, auxEntry{atNull, 0}) {
		words = append(words, a.kind, a.value)
	}
	sp = (s.at - layout.StackGap - uint64(8*len(words))) &^ 15
	vectors := make([]byte, 0, 8*len(words))
	for _, w := range words {
		vectors = binary.LittleEndian.AppendUint64(vectors, w)
	}
	if space.CopyOut(s.at, s.text) != nil || space.CopyOut(sp, vectors) != nil {
		return 0, loadError(image.Path, "gets no memory for its stack", unix.ENOMEM)
	}
	return sp, nil
}

// stringsSize returns how many bytes the arguments and the environment take, and checks the
// limits of execve(2).
func stringsSize(path string, argv, envp []string, limit uint64) (size uint64, err error) {
	var total uint64
	for _, list := range [2][]string{argv, envp} {
		for _, text := range list {
			if strings.IndexByte(text, 0) >= 0 {
				return 0, loadError(path, "can't be given an argument or variable with a zero byte in it", unix.EINVAL)
			}
			if len(text) >= maxArgString {
				return 0, loadError(path, "can't be given an argument or variable of 128 KiB or more", unix.E2BIG)
			}
			size += uint64(len(text)) + 1
			total += uint64(len(text)) + 1 + 8
		}
	}
	if total > limit {
		return 0, loadError(path, "is given more arguments and variables than its stack may hold", unix.E2BIG)
	}
	return size, nil
}
