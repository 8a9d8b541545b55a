package ground

// Names and lines of code addresses, and the frames on a stack, from the tables that every Go program carries for its
// runtime [runtime/symtab.go, cmd/link/internal/ld/pcln.go]. The runtime's own functions for this want a g of the runtime.
// TestSymbols and TestRuntimeOffsets check what is known here of the tables.

// Offsets in the runtime.moduledata of the kernel, in bytes. A slice is an address and a length.
const (
	modFuncNames = 8
	modCUs       = 32
	modFiles     = 56
	modPCs       = 80
	modFuncs     = 104
	modFuncTab   = 128 // of pairs: offset of the function's start in the text, of its runtime._func in modFuncs
	modText      = 176
	modTextEnd   = 184
	modGoFunc    = 320
)

// Offsets in runtime._func. Behind it lie offsets of tables in modPCs, funcPCDatas in number, and of data in modGoFunc.
const (
	funcName     = 4
	funcPCSP     = 16
	funcPCFile   = 20
	funcPCLine   = 24
	funcPCDatas  = 28
	funcCU       = 32
	funcFlags    = 41
	funcDatas    = 43
	funcInfoSize = 44

	funcFlagTop = 1 << 0 // nothing lies above it on its stack

	pcdataInlined   = 2 // index in runtime.inlinedCall of the call that was inlined here
	funcdataInlined = 3 // the array of runtime.inlinedCall

	inlinedSize   = 16
	inlinedName   = 4
	inlinedParent = 8 // where in the function the call was, as an offset
)

// noOffset stands for an absent table or file.
const noOffset = 0xffffffff

// function is a function of the kernel.
type function struct {
	info  uint64 // address of its runtime._func; 0: none
	start uint64 // its first address
}

// functionAt finds the function that pc lies in.
func functionAt(pc uint64) (f function) {
	module := bootHeader[bootModule]
	text := *p64(module + modText)
	if pc < text || pc >= *p64(module + modTextEnd) {
		return f
	}
	table := *p64(module + modFuncTab)
	low, high := uint64(0), *p64(module + modFuncTab + 8)-1 // the last entry is the end of the text
	for low+1 < high {
		middle := (low + high) / 2
		if uint64(*p32(table + middle*8)) <= pc-text {
			low = middle
		} else {
			high = middle
		}
	}
	f.start = text + uint64(*p32(table + low*8))
	f.info = *p64(module + modFuncs) + uint64(*p32(table + low*8 + 4))
	return f
}

// valueAt looks up pc in one of the function's tables, whose offset in modPCs is given: pairs of differences, of the
// value and of the address up to which it holds, as variable-length numbers. -1 stands for nothing.
func (f function) valueAt(offset, pc uint64) int64 {
	if offset == 0 {
		return -1
	}
	p := *p64(bootHeader[bootModule] + modPCs) + offset
	value, end := int64(-1), f.start
	for first := true; ; first = false {
		var delta uint64
		if delta, p = varint(p); delta == 0 && !first {
			return -1
		}
		value += int64(int32(-uint32(delta&1) ^ uint32(delta)>>1))
		delta, p = varint(p)
		end += delta
		if pc < end {
			return value
		}
	}
}

// varint reads a number of seven bits a byte, the lowest first; next is the address behind it.
func varint(p uint64) (v, next uint64) {
	for shift := uint64(0); ; shift += 7 {
		b := *p8(p)
		p++
		v |= uint64(b&0x7f) << (shift & 31)
		if b&0x80 == 0 {
			return v, p
		}
	}
}

// place is a line of the source.
type place struct {
	name, file uint64 // addresses of texts that end with 0; file is 0 if there is none
	line       uint64
	parent     uint64 // where the function was inlined: an address of its caller; 0 if it was not
}

// placeOf returns where pc is. If that is in an inlined function, its caller is at parent.
func (f function) placeOf(pc uint64) (p place) {
	module := bootHeader[bootModule]
	p.name = *p64(module + modFuncNames) + uint64(*p32(f.info + funcName))
	if file := f.valueAt(uint64(*p32(f.info + funcPCFile)), pc); file >= 0 {
		cu := *p64(module + modCUs) + (uint64(*p32(f.info + funcCU))+uint64(file))*4
		if offset := *p32(cu); offset != noOffset {
			p.file = *p64(module + modFiles) + uint64(offset)
		}
	}
	if line := f.valueAt(uint64(*p32(f.info + funcPCLine)), pc); line > 0 {
		p.line = uint64(line)
	}
	tables := uint64(*p32(f.info + funcPCDatas))
	if tables <= pcdataInlined || *p8(f.info + funcDatas) <= funcdataInlined {
		return p
	}
	data := *p32(f.info + funcInfoSize + (tables+funcdataInlined)*4)
	index := f.valueAt(uint64(*p32(f.info + funcInfoSize + pcdataInlined*4)), pc)
	if data == noOffset || index < 0 {
		return p
	}
	call := *p64(module + modGoFunc) + uint64(data) + uint64(index)*inlinedSize
	p.name = *p64(module + modFuncNames) + uint64(*p32(call + inlinedName))
	p.parent = f.start + uint64(*p32(call + inlinedParent))
	return p
}

// frameSize returns by how much the stack pointer at pc is below the return address of the function, and whether the
// function has one.
func (f function) frameSize(pc uint64) (size uint64, ok bool) {
	if *p8(f.info + funcFlags)&funcFlagTop != 0 {
		return 0, false
	}
	n := f.valueAt(uint64(*p32(f.info + funcPCSP)), pc)
	return uint64(n), n >= 0
}
