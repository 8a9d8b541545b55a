package ground

import (
	"wick/kernel/ground/record"
)

// What is on record of the program and the network, on the console.

const (
	toldThreads = 64 // threads of the program that are told
	toldCalls   = 32
)

// putProgram tells of the threads of the program, their last system calls, and the last packets.
func putProgram() {
	puts("\nthreads of programs:\n")
	told, more := 0, uint64(0)
	for i := range record.Threads {
		t := recorded(uint64(i))
		switch {
		case t == nil:
		case told == toldThreads:
			more++
		default:
			putProgramThread(t)
			told++
		}
	}
	if more > 0 {
		puts("  and ")
		putDec(more)
		puts(" more\n")
	}
	putCalls()
	putPackets()
}

// recorded returns the thread of the program at a place of the record, or nil.
func recorded(i uint64) *record.Thread {
	place := &record.Threads[i%record.MaxThreads]
	if !mapped(addressOf(place)) {
		return nil
	}
	t := place.Load()
	if t == nil || !mapped(addressOf(t)) || !mapped(addressOf(&t.Calls[record.KeptCalls-1].Result)) {
		return nil
	}
	return t
}

func putProgramThread(t *record.Thread) {
	puts("  thread ")
	putDec(t.TID)
	if t.PID != t.TID {
		puts(" of process ")
		putDec(t.PID)
	}
	u := t.Regs
	if u == nil || !mapped(addressOf(u)) {
		puts("\n")
		return
	}
	switch {
	case t.Inside != 0:
		c, _ := t.Recent(0)
		puts(" in ")
		putCall(c.Number)
		for i, a := range [...]uint64{u.DI, u.SI, u.DX, u.R10, u.R8, u.R9} {
			if i == 0 {
				putHex("(", a)
			} else {
				putHex(", ", a)
			}
		}
		puts(")\n")
	case u.OnCPU != 0:
		puts(" in ring 3 on cpu ")
		putDec(u.OnCPU - 1)
		puts("\n")
		return // its registers are there
	default:
		puts(" in ring 3, or about to return there\n")
	}
	for i, r := range [...]struct {
		name  string
		value uint64
	}{
		{"    IP ", u.IP}, {" SP ", u.SP}, {" FL ", u.Flags}, {" AX ", u.AX}, {" BX ", u.BX}, {" CX ", u.CX}, {" DX ", u.DX},
		{"    SI ", u.SI}, {" DI ", u.DI}, {" BP ", u.BP}, {" R8 ", u.R8}, {" R9 ", u.R9}, {" R10 ", u.R10}, {" R11 ", u.R11},
		{"    R12 ", u.R12}, {" R13 ", u.R13}, {" R14 ", u.R14}, {" R15 ", u.R15}, {" FS ", u.FSBase}, {" GS ", u.GSBase},
	} {
		putHex(r.name, r.value)
		if i%7 == 6 {
			puts("\n")
		}
	}
	puts("\n")
}

// putCalls tells the last system calls of all threads, the newest first.
func putCalls() {
	puts("\nlast system calls, newest first:\n")
	before := uint64(1<<64 - 1)
	for range toldCalls {
		var newest record.Call
		tid, inside := uint64(0), false
		for i := range record.Threads {
			t := recorded(uint64(i))
			if t == nil {
				continue
			}
			for n := uint64(0); ; n++ {
				c, ok := t.Recent(n)
				if !ok || c.Sequence <= newest.Sequence {
					break
				}
				if c.Sequence < before {
					newest, tid, inside = c, t.TID, n == 0 && t.Inside != 0
					break
				}
			}
		}
		if newest.Sequence == 0 {
			return
		}
		before = newest.Sequence
		puts("  #")
		putDec(newest.Sequence)
		puts(" thread ")
		putDec(tid)
		puts(" ")
		putCall(newest.Number)
		switch {
		case inside:
			puts(", not done yet")
		case int64(newest.Result) < 0 && int64(newest.Result) > -4096:
			puts(" = -")
			putDec(-newest.Result)
		default:
			putHex(" = ", newest.Result)
		}
		puts("\n")
	}
}

// putCall prints the name of a system call.
func putCall(number uint64) {
	names := record.CallNames[0]
	if later := record.CallNames[1]; number >= later.First && later.Text != "" {
		names = later
	}
	skip := number - names.First
	for i := 0; i < len(names.Text); i++ {
		switch {
		case names.Text[i] != ' ':
			if skip == 0 {
				putc(names.Text[i])
			}
		case skip == 0:
			return
		default:
			skip--
		}
	}
	if skip != 0 || names.Text == "" {
		puts("call ")
		putDec(number)
	}
}

// putPackets tells the last packets, the oldest first, in hexadecimal: wick puts them in words.
func putPackets() {
	puts("\nlast packets, oldest first:\n")
	if !mapped(addressOf(&record.Packets)) || !mapped(addressOf(&record.Packets[record.KeptPackets-1].Data)+record.SnapLen-8) {
		return
	}
	newest := uint64(0)
	for i := range record.Packets {
		newest = max(newest, record.Packets[i].Number)
	}
	for n := newest - min(newest, record.KeptPackets-1); n <= newest; n++ {
		p := &record.Packets[n%record.KeptPackets]
		if p.Number != n || n == 0 {
			continue // it is being written, or there is none yet
		}
		puts("  packet ")
		putDec(n)
		puts(" at ")
		putDec(uint64(p.TimeNS))
		puts(" ns ")
		if p.Sent != 0 {
			puts("sent ")
		} else {
			puts("received ")
		}
		if p.Dropped != 0 {
			puts("dropped ")
		}
		putDec(p.WireSize)
		puts(" bytes ")
		for i := uint64(0); i < min(p.Size, record.SnapLen); i++ {
			const digits = "0123456789abcdef"
			putc(digits[p.Data[i]>>4])
			putc(digits[p.Data[i]&15])
		}
		puts("\n")
	}
}
