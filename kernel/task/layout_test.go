package task

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layoutC prints what a program sees of a signal frame of the Linux that the test runs on.
const layoutC = `
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ucontext.h>

static stack_t alt;
#define P(name, v) printf("%s %lld\n", name, (long long)(v))

static void handler(int sig, siginfo_t *si, void *p) {
	ucontext_t *uc = p;
	char *entry = (char *)__builtin_frame_address(0) + 8; /* SP at entry: pushed RBP is below it */
	P("ucontext", (char *)uc - entry);
	P("siginfo", (char *)si - entry);
	P("entry % 16", (uintptr_t)entry % 16);
	P("fpstate % 64", (uintptr_t)uc->uc_mcontext.fpregs % 64);
	P("pretcode", *(void **)entry != 0);
	P("uc_flags", uc->uc_flags & ~1); /* without UC_FP_XSTATE */
	P("segments", uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff0000ffffffff);
	P("ss_size", uc->uc_stack.ss_size);
	P("sigmask", *(uint64_t *)&uc->uc_sigmask);
	P("oldmask", uc->uc_mcontext.gregs[REG_OLDMASK]);
	P("mxcsr", uc->uc_mcontext.fpregs->mxcsr);
	P("fcw", uc->uc_mcontext.fpregs->cwd);
	exit(0);
}

int main(void) {
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigset_t set;
	alt.ss_size = 65536;
	alt.ss_sp = malloc(alt.ss_size);
	sigaltstack(&alt, NULL);
	P("sizeof siginfo_t", sizeof(siginfo_t));
	P("sizeof stack_t", sizeof(stack_t));
	P("si_pid", offsetof(siginfo_t, si_pid));
	P("si_uid", offsetof(siginfo_t, si_uid));
	P("si_value", offsetof(siginfo_t, si_value));
	P("si_addr", offsetof(siginfo_t, si_addr));
	P("uc_stack", offsetof(ucontext_t, uc_stack));
	P("uc_mcontext", offsetof(ucontext_t, uc_mcontext));
	P("uc_sigmask", offsetof(ucontext_t, uc_sigmask));
	P("fpregs", offsetof(ucontext_t, uc_mcontext.fpregs));
	int order[] = {REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RDI, REG_RSI,
		REG_RBP, REG_RBX, REG_RDX, REG_RAX, REG_RCX, REG_RSP, REG_RIP, REG_EFL};
	int good = 1;
	for (int i = 0; i < 18; i++) good &= order[i] == i;
	P("register order", good);
	P("REG_ERR", REG_ERR * 8);
	P("REG_TRAPNO", REG_TRAPNO * 8);
	P("REG_OLDMASK", REG_OLDMASK * 8);
	P("REG_CR2", REG_CR2 * 8);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	raise(SIGUSR1);
	return 1;
}
`

// TestLayoutIsThatOfLinux compares the frame's constants with what a C program sees on a real Linux.
func TestLayoutIsThatOfLinux(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(source, []byte(layoutC), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O0", "-fno-omit-frame-pointer", "-o", program, source).CombinedOutput(); err != nil {
		t.Skipf("the C compiler doesn't work: %v: %s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := map[string]int64{
		"ucontext": ucontextOffset, "siginfo": infoOffset, "entry % 16": 8, "fpstate % 64": 0, "pretcode": 1,
		"uc_flags": ucSigcontextSS | ucStrictRestoreSS, "segments": segmentData<<48 | segmentCode,
		"ss_size": 65536, "sigmask": 2, "oldmask": 2, "mxcsr": 0x1f80, "fcw": 0x37f,
		"sizeof siginfo_t": InfoSize, "sizeof stack_t": StackSize,
		"si_pid": 16, "si_uid": 20, "si_value": 24, "si_addr": 16,
		"uc_stack": ucStack, "uc_mcontext": ucMcontext, "uc_sigmask": ucSigmask, "fpregs": ucMcontext + mcFpstate,
		"register order": 1, "REG_ERR": mcErr, "REG_TRAPNO": mcTrapNo, "REG_OLDMASK": mcOldmask, "REG_CR2": mcCR2,
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ')
		got, err := strconv.ParseInt(line[space+1:], 10, 64)
		if w, ok := want[line[:space]]; !ok || err != nil || got != w {
			t.Errorf("Linux has %s, want %d", line, w)
		}
		seen++
	}
	if seen != len(want) {
		t.Errorf("%d values, want %d", seen, len(want))
	}
}
