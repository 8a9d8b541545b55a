package vm

import (
	"testing"

	"wick/test/programs"
)

// TestFreshRandomness runs a program several times: nothing of what should be random is twice the same, with RDRAND and
// without.
func TestFreshRandomness(t *testing.T) {
	const runs, kinds = 4, 6
	for _, c := range onePerModel {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			path := cProgram(t, "places", programs.GlibcPIE)
			seen := map[string]bool{}
			for range runs {
				r := start(t, options{configuration: c, program: path})
				r.want(0)
				told := lines(r.stdout.String())
				if len(told) != kinds {
					t.Fatalf("%q", told)
				}
				for _, line := range told {
					if seen[line] {
						t.Errorf("%q more than once", line)
					}
					seen[line] = true
				}
			}
		})
	}
}
