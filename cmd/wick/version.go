package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"wick/vmm/embedded"
)

// version is wick's version.
const version = "0.1.0-dev"

// commit is what wick was built from; `make build` sets it.
var commit string

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of wick and of the kernel in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionText())
			return err
		},
	}
}

// versionText returns a line such as "wick 0.1.0 (commit 1a2b3c4d5e6f, go1.26.8, kernel 12.0 MiB)".
func versionText() string {
	kernel := "no kernel"
	if size, err := embedded.Size(); err == nil {
		kernel = fmt.Sprintf("kernel %.1f MiB", float64(size)/(1<<20))
	}
	return fmt.Sprintf("wick %s (commit %s, %s, %s)", version, revision(), runtime.Version(), kernel)
}

// revision returns what wick was built from, also if `go install` or `go build` did it.
func revision() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	return "unknown"
}
