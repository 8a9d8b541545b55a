package profile

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
)

// Function is a function in the source.
type Function struct {
	Name string // as the linker's: "wick/kernel/net.(*quickPath).take"
	Line int    // of its declaration
}

// Frame is a place in a function.
type Frame struct {
	Function
	Line int // 0: not known
}

// Symbols are the functions of a program and where each instruction comes from.
type Symbols struct {
	functions []*scope // by address
	lines     []dwarf.LineEntry
	text      *elf.Section
	code      []byte
}

// scope is a function, or the part of one into which another has been inlined.
type scope struct {
	Function
	ranges   [][2]uint64 // addresses from and to
	callLine int         // of an inlined function: where it is called in the function around it
	inlined  []*scope
}

// Load reads the debugging information of a Go program.
func Load(path string) (*Symbols, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s := &Symbols{text: file.Section(".text")}
	if s.text == nil {
		return nil, fmt.Errorf("%s has no section .text", path)
	}
	if s.code, err = s.text.Data(); err != nil {
		return nil, err
	}
	data, err := file.DWARF()
	if err != nil {
		return nil, err
	}
	r := reader{data: data, origins: make(map[dwarf.Offset]Function)}
	if err := errors.Join(r.origin(), r.read(s)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	slices.SortFunc(s.functions, func(a, b *scope) int { return cmp.Compare(a.ranges[0][0], b.ranges[0][0]) })
	slices.SortStableFunc(s.lines, func(a, b dwarf.LineEntry) int { return cmp.Compare(a.Address, b.Address) })
	return s, nil
}

// Frames returns where an instruction comes from: the innermost of the functions that have been inlined comes first, the
// function itself last. There are none if no function has the address.
func (s *Symbols) Frames(pc uint64) []Frame {
	f := s.function(pc)
	if f == nil {
		return nil
	}
	chain := []*scope{f}
	for in := f.inlinedAt(pc); in != nil; in = in.inlinedAt(pc) {
		chain = append(chain, in)
	}
	line := s.line(pc)
	var frames []Frame
	for _, c := range slices.Backward(chain) {
		frames = append(frames, Frame{c.Function, line})
		line = c.callLine
	}
	return frames
}

// Code returns the instructions of the function that has an address, and where in it the address is; nil if none has it.
func (s *Symbols) Code(pc uint64) (code []byte, offset int) {
	f := s.function(pc)
	if f == nil {
		return nil, 0
	}
	entry, end := f.ranges[0][0], f.ranges[0][1]
	if entry < s.text.Addr || end-s.text.Addr > uint64(len(s.code)) {
		return nil, 0
	}
	return s.code[entry-s.text.Addr : end-s.text.Addr], int(pc - entry)
}

func (s *Symbols) function(pc uint64) *scope {
	i, _ := slices.BinarySearchFunc(s.functions, pc, func(f *scope, pc uint64) int {
		if f.ranges[0][0] <= pc {
			return -1
		}
		return 1
	})
	if i == 0 || !s.functions[i-1].has(pc) {
		return nil
	}
	return s.functions[i-1]
}

func (s *Symbols) line(pc uint64) int {
	i, _ := slices.BinarySearchFunc(s.lines, pc, func(l dwarf.LineEntry, pc uint64) int {
		if l.Address <= pc {
			return -1
		}
		return 1
	})
	if i == 0 {
		return 0
	}
	return s.lines[i-1].Line
}

func (c *scope) has(pc uint64) bool {
	return slices.ContainsFunc(c.ranges, func(r [2]uint64) bool { return r[0] <= pc && pc < r[1] })
}

func (c *scope) inlinedAt(pc uint64) *scope {
	if i := slices.IndexFunc(c.inlined, func(in *scope) bool { return in.has(pc) }); i >= 0 {
		return c.inlined[i]
	}
	return nil
}

// reader reads DWARF [DWARF 5, 3.3].
type reader struct {
	data    *dwarf.Data
	origins map[dwarf.Offset]Function // what subprograms are called, by where that is said
}

// origin finds the names of subprograms: those that are inlined somewhere have them in an entry of their own.
func (r *reader) origin() error {
	entries := r.data.Reader()
	for {
		e, err := entries.Next()
		if e == nil || err != nil {
			return err
		}
		if e.Tag == dwarf.TagCompileUnit {
			continue
		}
		if name, ok := e.Val(dwarf.AttrName).(string); ok && e.Tag == dwarf.TagSubprogram {
			r.origins[e.Offset] = Function{name, number(e, dwarf.AttrDeclLine)}
		}
		entries.SkipChildren()
	}
}

func (r *reader) read(s *Symbols) error {
	entries := r.data.Reader()
	for {
		e, err := entries.Next()
		switch {
		case e == nil || err != nil:
			return err
		case e.Tag == dwarf.TagCompileUnit:
			err = r.readLines(s, e)
		case e.Tag == dwarf.TagSubprogram:
			var f *scope
			if f, err = r.scope(entries, e); f != nil {
				s.functions = append(s.functions, f)
			}
		default:
			entries.SkipChildren()
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) readLines(s *Symbols, unit *dwarf.Entry) error {
	lines, err := r.data.LineReader(unit)
	if lines == nil || err != nil {
		return err
	}
	for {
		var l dwarf.LineEntry
		if lines.Next(&l) != nil { // the end
			return nil
		}
		s.lines = append(s.lines, l)
	}
}

// scope reads an entry that may have addresses, with what is inlined in it; nil if it has none.
func (r *reader) scope(entries *dwarf.Reader, e *dwarf.Entry) (*scope, error) {
	ranges, err := r.data.Ranges(e)
	if err != nil || len(ranges) == 0 {
		entries.SkipChildren()
		return nil, err
	}
	name := e.Offset
	if other, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
		name = other
	}
	c := &scope{Function: r.origins[name], ranges: ranges, callLine: number(e, dwarf.AttrCallLine)}
	for e.Children {
		child, err := entries.Next()
		if err != nil || child == nil || child.Tag == 0 {
			return c, err
		}
		if child.Tag != dwarf.TagInlinedSubroutine {
			entries.SkipChildren()
			continue
		}
		in, err := r.scope(entries, child)
		if err != nil {
			return nil, err
		}
		if in != nil {
			c.inlined = append(c.inlined, in)
		}
	}
	return c, nil
}

func number(e *dwarf.Entry, a dwarf.Attr) int {
	n, _ := e.Val(a).(int64)
	return int(n)
}
