package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"wick/bench/measure"
)

// Results are what a run of make bench has measured.
type Results struct {
	Date    time.Time
	Host    map[string]string // what the host is, by what is said: "CPU", "QEMU", …
	Rounds  int
	Guests  []Guest
	Records []measure.Record
}

// Guest tells about a kernel that was measured.
type Guest struct {
	Name    string
	What    string
	Machine string
	CPUs    int
}

// reference is the kernel that ratios are taken to.
const reference = "debian"

// subject is the kernel whose ratios have marks to reach.
const subject = "wick"

// Load reads results that Save has written.
func Load(path string) (*Results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Save writes the results to a file.
func (r *Results) Save(path string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// Write writes the document performance.md to dir, and its plots to dir/performance.
func (r *Results) Write(dir string) error {
	plots := filepath.Join(dir, "performance")
	if err := os.MkdirAll(plots, 0o777); err != nil {
		return err
	}
	var errs []error
	for i := range figures {
		f := &figures[i]
		if rows := r.rows(f); len(rows) > 0 {
			errs = append(errs, os.WriteFile(filepath.Join(plots, f.id+".svg"), plot(f, rows), 0o644))
		}
	}
	errs = append(errs, os.WriteFile(filepath.Join(dir, "performance.md"), r.document(), 0o644))
	return errors.Join(errs...)
}

// row is what a figure says of a guest.
type row struct {
	guest    Guest
	values   []float64
	median   Median
	cpu      *Median // nil where a figure has none
	ratio    *Median // to the reference on the same machine with as many CPUs; nil for itself and where there is none
	cpuRatio *Median
	noise    float64 // the median of what others used, in percent
}

// rows returns what a figure says of each guest, for those that have values.
func (r *Results) rows(f *figure) []row {
	var rows []row
	for _, g := range r.Guests {
		own := r.byRound(g, f)
		if len(own) == 0 {
			continue
		}
		w := row{guest: g}
		var cpu, noise []float64
		for _, round := range sortedRounds(own) {
			rec := own[round]
			w.values = append(w.values, rec.Values[f.value])
			noise = append(noise, rec.Noise.Sum())
			if c, found := rec.Values[f.cpu]; found {
				cpu = append(cpu, c*f.cpuScale())
			}
		}
		w.median, w.noise = medianOf(w.values), medianOf(noise).Value
		w.cpu = medianOrNil(cpu)
		if g.Name != reference {
			other := r.byRound(Guest{Name: reference, Machine: g.Machine, CPUs: g.CPUs}, f)
			w.ratio = ratios(own, other, f.value)
			w.cpuRatio = ratios(own, other, f.cpu)
		}
		rows = append(rows, w)
	}
	return rows
}

// byRound returns the records of a guest that have the figure's value.
func (r *Results) byRound(g Guest, f *figure) map[int]*measure.Record {
	found := make(map[int]*measure.Record)
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Guest != g.Name || rec.Machine != g.Machine || rec.CPUs != g.CPUs || rec.What != f.what {
			continue
		}
		if _, ok := rec.Values[f.value]; ok {
			found[rec.Round] = rec
		}
	}
	return found
}

func sortedRounds(m map[int]*measure.Record) []int {
	var rounds []int
	for round := range m {
		rounds = append(rounds, round)
	}
	slices.Sort(rounds)
	return rounds
}

// ratios compares round by round: what slows the host for a while slows both sides of a ratio.
func ratios(own, other map[int]*measure.Record, value string) *Median {
	var all []float64
	for _, round := range sortedRounds(own) {
		a, haveA := own[round].Values[value]
		if o := other[round]; haveA && o != nil && o.Values[value] != 0 {
			all = append(all, a/o.Values[value])
		}
	}
	return medianOrNil(all)
}

func medianOrNil(values []float64) *Median {
	if len(values) == 0 {
		return nil
	}
	m := medianOf(values)
	return &m
}
