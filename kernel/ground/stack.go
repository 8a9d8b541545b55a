package ground

// Stacks of the kernel on the console, for reports. The CPUs are stopped meanwhile, but anything may be wrong: what is read was
// looked up in the page tables before.

// maxFrames bounds the frames that are told of a stack.
const maxFrames = 48

// mapped tells whether the eight bytes at va can be read, without a page fault.
func mapped(va uint64) bool { return present(va) && present(va+7) }

func present(va uint64) bool {
	if va < 1<<63 {
		return false
	}
	table := kernelRoot
	for shift := uint64(39); ; shift -= 9 {
		e := *p64(direct + table + (va>>shift&511)*8)
		if e&pteP == 0 {
			return false
		}
		if shift == 12 || shift < 39 && e&ptePS != 0 {
			return true
		}
		table = e & pteFrame
	}
}

// putStack tells the calls that have led to pc, one line each, with sp the stack pointer there. call tells that pc is a
// return address, which may be that of the function behind the caller.
func putStack(pc, sp uint64, call bool) {
	for n := 0; n < maxFrames; n++ {
		at := pc
		if call {
			at--
		}
		f := functionAt(at)
		if f.info == 0 {
			if n == 0 {
				putHex("    ", pc)
				puts("\n")
			}
			return // the stack has another at its top, as in an entry of ground
		}
		putPlaces(f, at)
		size, ok := f.frameSize(at)
		if !ok {
			return
		}
		if sp += size; !mapped(sp) {
			puts("    (no memory at the stack pointer)\n")
			return
		}
		pc, sp, call = *p64(sp), sp+8, true
	}
	puts("    …\n")
}

// putPlaces tells a frame, with the functions that were inlined in it.
func putPlaces(f function, at uint64) {
	offset := at - f.start
	for n := 0; at != 0 && n < maxFrames; n++ {
		p := f.placeOf(at)
		puts("    ")
		putText(p.name)
		if p.file != 0 {
			puts(" ")
			putText(p.file)
			puts(":")
			putDec(p.line)
		}
		if p.parent == 0 {
			putHex(" +", offset)
		} else {
			puts(" (inlined)")
		}
		puts("\n")
		at = p.parent
	}
}

// putText prints a text that ends with 0.
func putText(a uint64) {
	for n := 0; n < 256 && *p8(a) != 0; n++ {
		putc(*p8(a))
		a++
	}
}
