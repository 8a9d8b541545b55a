package net

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestSeam checks that only the files of the engine know gVisor's stack: all others could live with another one.
func TestSeam(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "netstack") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(path, "gvisor.dev/") && path != "gvisor.dev/gvisor/pkg/waiter" {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
