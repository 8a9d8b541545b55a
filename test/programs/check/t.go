package check

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// T is a case that runs. Its methods may be called from any goroutine, those that end the case
// only from the case's own.
type T struct {
	mu       sync.Mutex
	failures []string // guarded by mu
	cleanups []func() // guarded by mu
}

// Errorf notes a failure; the case goes on.
func (t *T) Errorf(format string, args ...any) {
	t.fail(fmt.Sprintf(format, args...))
}

// Fatalf notes a failure and ends the case.
func (t *T) Fatalf(format string, args ...any) {
	t.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// Must ends the case if err is not nil.
func (t *T) Must(err error) {
	if err != nil {
		t.fail(err.Error())
		runtime.Goexit()
	}
}

// WantErr notes a failure unless err is want, which may be nil.
func (t *T) WantErr(what string, err, want error) {
	if !errors.Is(err, want) {
		t.fail(fmt.Sprintf("%s: got error %v, want %v", what, err, want))
	}
}

// Equal notes a failure unless got == want.
func Equal[V comparable](t *T, what string, got, want V) {
	if got != want {
		t.fail(fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
}

// Cleanup runs f when the case has ended, the last one first.
func (t *T) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *T) fail(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, where()+": "+why)
}

func (t *T) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures
}

func (t *T) cleanUp() {
	t.mu.Lock()
	cleanups := t.cleanups
	t.mu.Unlock()
	for i := len(cleanups) - 1; i >= 0; i-- {
		cleanups[i]()
	}
}

func inThisPackage(function string) bool {
	return strings.HasPrefix(function, "wick/test/programs/check.")
}

func base(path string) string {
	return path[strings.LastIndexByte(path, '/')+1:]
}
