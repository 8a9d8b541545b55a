// System checks clocks, randomness, and what a program learns of itself and the system: arguments, environment,
// auxiliary vector, identity. (Arguments, standard streams and exit status: see program stdio.)
package main

import (
	"flag"

	"wick/test/programs/check"
)

var wantHost = flag.String("host", "", "the host `name` that the system must have, if not empty")

func main() {
	check.Main(
		check.Case{Name: "clocks-run", Run: clocksRun},
		check.Case{Name: "clocks-agree", Run: clocksAgree},
		check.Case{Name: "clock-errors", Run: clockErrors},
		check.Case{Name: "clock-steering", Run: clockSteering},
		check.Case{Name: "monotonic", Run: monotonic},
		check.Case{Name: "runtime-clock", Run: runtimeClock},
		check.Case{Name: "runtime-clock-without-a-call", Run: runtimeClockWithoutACall},
		check.Case{Name: "sleep", Run: sleep},
		check.Case{Name: "cpu-time", Run: cpuTime},
		check.Case{Name: "plausible-date", Run: plausibleDate},
		check.Case{Name: "getrandom", Run: getrandom},

		check.Case{Name: "identity", Run: identity},
		check.Case{Name: "uname", Run: uname},
		check.Case{Name: "auxv", Run: auxv},
		check.Case{Name: "environment", Run: environment},
		check.Case{Name: "limits", Run: limits},
		check.Case{Name: "sysinfo", Run: sysinfo},
	)
}
