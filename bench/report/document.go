package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// quietEnough is the noise, in percent of all CPUs, up to which figures may be quoted.
const quietEnough = 5

//go:embed method.txt
var method string

// document returns performance.md.
func (r *Results) document() []byte {
	var b bytes.Buffer
	b.WriteString("# Performance\n\n")
	fmt.Fprintf(&b, "Made by `make bench` on %s; not to be edited. How it is measured is [below](#how-it-is-measured).\n\n",
		r.Date.UTC().Format("2 January 2006"))
	r.warn(&b)
	r.host(&b)
	for _, machine := range r.machines() {
		r.summary(&b, machine)
	}
	for i := range figures {
		r.figure(&b, &figures[i])
	}
	r.failures(&b)
	b.WriteString(method)
	return b.Bytes()
}

// warn says what makes the figures unfit to be quoted.
func (r *Results) warn(b *bytes.Buffer) {
	if n := r.noise(); n > quietEnough {
		fmt.Fprintf(b, "**Not to be quoted:** others used %.0f %% of the host's CPUs at the median measurement.\n\n", n)
	}
	if r.Rounds < fewest {
		fmt.Fprintf(b, "**Not to be quoted:** with %d rounds there are no intervals of confidence; ranges stand in their place.\n\n", r.Rounds)
	}
}

// noise is the median of what others used during the measurements, in percent.
func (r *Results) noise() float64 {
	var all []float64
	for _, rec := range r.Records {
		if rec.Round > 0 && rec.Error == "" {
			all = append(all, rec.Noise.Sum())
		}
	}
	if len(all) == 0 {
		return 0
	}
	return medianOf(all).Value
}

func (r *Results) host(b *bytes.Buffer) {
	b.WriteString("| | |\n|---|---|\n")
	fmt.Fprintf(b, "| Measured | %s, %d rounds |\n", r.Date.UTC().Format("2006-01-02 15:04 UTC"), r.Rounds)
	for _, k := range slices.Sorted(mapKeys(r.Host)) {
		fmt.Fprintf(b, "| %s | %s |\n", k, r.Host[k])
	}
	seen := make(map[string]bool)
	for _, g := range r.Guests {
		if !seen[g.Name] {
			seen[g.Name] = true
			fmt.Fprintf(b, "| %s | %s |\n", g.Name, g.What)
		}
	}
	b.WriteString("\n")
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// machines returns the machines, in the order of the guests.
func (r *Results) machines() (names []string) {
	for _, g := range r.Guests {
		if !slices.Contains(names, g.Machine) {
			names = append(names, g.Machine)
		}
	}
	return names
}

// summary is a table of all figures on a machine with one CPU.
func (r *Results) summary(b *bytes.Buffer, machine string) {
	fmt.Fprintf(b, "## %s and %s on %s with 1 vCPU\n\n", subject, reference, machine)
	fmt.Fprintf(b, "| | %s | %s | ratio | mark | CPU time, ratio |\n|---|--:|--:|--:|--:|--:|\n", subject, reference)
	for i := range figures {
		f := &figures[i]
		var own, ref *row
		for _, w := range r.rows(f) {
			switch {
			case w.guest.CPUs != 1 || w.guest.Machine != machine:
			case w.guest.Name == subject:
				own = &w
			case w.guest.Name == reference:
				ref = &w
			}
		}
		if own == nil || ref == nil || own.ratio == nil {
			continue
		}
		fmt.Fprintf(b, "| [%s](#%s) | %s %s | %s %s | %s | %s | %s |\n", f.title, f.id, number(own.median.Value), f.unit,
			number(ref.median.Value), f.unit, ratio(own.ratio), f.markText(own.ratio, machine), ratio(own.cpuRatio))
	}
	b.WriteString("\n")
}

// markText tells the mark and whether it is reached.
func (f *figure) markText(m *Median, machine string) string {
	mark := f.mark
	if f.virtioMark != 0 && strings.Contains(machine, "virtio") {
		mark = f.virtioMark
	}
	switch {
	case mark == 0:
		return ""
	case f.more && m.Value >= mark:
		return fmt.Sprintf("≥ %v: reached", mark)
	case f.more:
		return fmt.Sprintf("≥ %v: **missed**", mark)
	case m.Value <= mark:
		return fmt.Sprintf("≤ %v: reached", mark)
	default:
		return fmt.Sprintf("≤ %v: **missed**", mark)
	}
}

// figure is the section of one figure.
func (r *Results) figure(b *bytes.Buffer, f *figure) {
	rows := r.rows(f)
	if len(rows) == 0 {
		return
	}
	better := "less is better"
	if f.more {
		better = "more is better"
	}
	fmt.Fprintf(b, "<a id=%q></a>\n\n## %s\n\nIn %s; %s. %s\n\n![%s](performance/%s.svg)\n\n", f.id, f.title, f.unit, better, f.note, f.title, f.id)
	fmt.Fprintf(b, "| | median, %s | interval | ratio to %s |", f.unit, reference)
	if f.cpu != "" {
		fmt.Fprintf(b, " CPU time, %s | ratio |", f.cpuUnit)
	}
	b.WriteString(" noise | n |\n|---|--:|--:|--:|")
	if f.cpu != "" {
		b.WriteString("--:|--:|")
	}
	b.WriteString("--:|--:|\n")
	for _, w := range rows {
		fmt.Fprintf(b, "| %s | %s | %s – %s | %s |", w.guest, number(w.median.Value), number(w.median.Low), number(w.median.High), ratio(w.ratio))
		if f.cpu != "" {
			cpu := ""
			if w.cpu != nil {
				cpu = number(w.cpu.Value)
			}
			fmt.Fprintf(b, " %s | %s |", cpu, ratio(w.cpuRatio))
		}
		fmt.Fprintf(b, " %.0f %% | %d |\n", w.noise, w.median.N)
	}
	b.WriteString("\n")
}

// String returns "wick, pc/e1000, 2 vCPUs".
func (g Guest) String() string {
	if g.CPUs == 1 {
		return fmt.Sprintf("%s, %s, 1 vCPU", g.Name, g.Machine)
	}
	return fmt.Sprintf("%s, %s, %d vCPUs", g.Name, g.Machine, g.CPUs)
}

// failures lists measurements that have no values.
func (r *Results) failures(b *bytes.Buffer) {
	first := true
	for _, rec := range r.Records {
		if rec.Error == "" {
			continue
		}
		if first {
			b.WriteString("## What failed\n\n")
			first = false
		}
		why, _, _ := strings.Cut(rec.Error, "\n")
		fmt.Fprintf(b, "- %s of %s in round %d: %s\n", rec.What, Guest{Name: rec.Guest, Machine: rec.Machine, CPUs: rec.CPUs}, rec.Round, why)
	}
	if !first {
		b.WriteString("\n")
	}
}

// number writes a value with three digits that count, or all before the point.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// ratio writes a ratio with its interval, if it has one.
func ratio(m *Median) string {
	switch {
	case m == nil:
		return ""
	case m.N == 1:
		return fmt.Sprintf("%.3g", m.Value)
	}
	return fmt.Sprintf("%.3g (%.3g – %.3g)", m.Value, m.Low, m.High)
}
