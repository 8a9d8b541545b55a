package profile

import (
	"io"

	"github.com/google/pprof/profile"
)

// Write writes the stacks of samples in pprof's format (github.com/google/pprof/proto/profile.proto), which Go's compiler
// takes with -pgo, too.
func Write(w io.Writer, samples []Sample, symbols *Symbols) error {
	b := builder{
		symbols: symbols, locations: make(map[uint64]*profile.Location), functions: make(map[string]*profile.Function),
		profile: &profile.Profile{
			SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}},
			PeriodType: &profile.ValueType{Type: "samples", Unit: "count"},
			Period:     1,
			Mapping:    []*profile.Mapping{{ID: 1, Start: symbols.text.Addr, Limit: symbols.text.Addr + symbols.text.Size}},
		},
	}
	for _, s := range samples {
		b.add(s.Stack)
	}
	merged, err := profile.Merge([]*profile.Profile{b.profile}) // equal stacks become one
	if err != nil {
		return err
	}
	return merged.Write(w)
}

type builder struct {
	symbols   *Symbols
	profile   *profile.Profile
	locations map[uint64]*profile.Location
	functions map[string]*profile.Function
}

func (b *builder) add(stack []uint64) {
	s := &profile.Sample{Value: []int64{1}}
	for i, pc := range stack {
		if i > 0 {
			pc-- // a call's, not the instruction's after it
		}
		l := b.location(pc)
		if l == nil {
			break
		}
		s.Location = append(s.Location, l)
	}
	if len(s.Location) > 0 {
		b.profile.Sample = append(b.profile.Sample, s)
	}
}

// location returns where an address is; nil if that is nowhere.
func (b *builder) location(pc uint64) *profile.Location {
	if l := b.locations[pc]; l != nil {
		return l
	}
	frames := b.symbols.Frames(pc)
	if len(frames) == 0 {
		return nil
	}
	l := &profile.Location{ID: uint64(len(b.locations) + 1), Mapping: b.profile.Mapping[0], Address: pc}
	for _, f := range frames {
		l.Line = append(l.Line, profile.Line{Function: b.function(f.Function), Line: int64(f.Line)})
	}
	b.locations[pc] = l
	b.profile.Location = append(b.profile.Location, l)
	return l
}

func (b *builder) function(f Function) *profile.Function {
	p := b.functions[f.Name]
	if p == nil {
		p = &profile.Function{ID: uint64(len(b.functions) + 1), Name: f.Name, SystemName: f.Name, StartLine: int64(f.Line)}
		b.functions[f.Name] = p
		b.profile.Function = append(b.profile.Function, p)
	}
	return p
}
