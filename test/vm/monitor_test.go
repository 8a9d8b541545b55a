package vm

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A monitor looks into a machine from outside, by QEMU's machine protocol (QMP).
type monitor struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// monitored returns the environment for a wick whose QEMU has a second monitor, other defaults as with withGlobals, and the path of
// the monitor's socket. Beside it, with ".gdb" to its name, is one for a debugger.
func monitored(t *testing.T, globals ...string) (env []string, socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wick") // not TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "qmp")
	return wrapQEMU(t, dir, func(qemu string) string {
		return fmt.Sprintf(`#!/bin/sh
case " $* " in
*" -kernel "*) exec %s "$@" -chardev socket,id=watch,path=%s,server=on,wait=off -mon chardev=watch,mode=control \
	-chardev socket,id=debug,path=%[2]s.gdb,server=on,wait=off -gdb chardev:debug%[3]s ;;
*) exec %[1]s "$@" ;;
esac
`, qemu, socket, globalOptions(globals))
	}), socket
}

// wrapQEMU returns the environment of a wick that starts QEMU by a script in dir.
func wrapQEMU(t *testing.T, dir string, script func(qemu string) string) (env []string) {
	t.Helper()
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "qemu")
	// No test that runs beside may fork meanwhile: until its child executes a program, that has the script open for writing, too, and
	// the script can't be executed (ETXTBSY).
	syscall.ForkLock.RLock()
	err = os.WriteFile(path, []byte(script(qemu)), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "WICK_QEMU="+path)
}

// connect connects to the monitor of a machine that runs.
func connect(t *testing.T, socket string) *monitor {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &monitor{t, conn, bufio.NewReader(conn)}
	if err := conn.SetDeadline(deadline()); err != nil {
		t.Fatal(err)
	}
	m.read() // the greeting
	m.do("qmp_capabilities", nil)
	return m
}

// read returns the next message; ok is false if the machine has ended.
func (m *monitor) read() (message map[string]json.RawMessage, ok bool) {
	line, err := m.in.ReadBytes('\n')
	if err != nil {
		return nil, false
	}
	if err := json.Unmarshal(line, &message); err != nil {
		m.t.Fatalf("QMP: %v: %s", err, line)
	}
	return message, true
}

// do executes a command and returns its result; ok is false if the machine has ended.
func (m *monitor) do(command string, arguments any) (result json.RawMessage, ok bool) {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	b, err := json.Marshal(request)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.conn.SetDeadline(deadline()); err != nil {
		return nil, false
	}
	if _, err := m.conn.Write(append(b, '\n')); err != nil {
		return nil, false
	}
	for {
		message, ok := m.read()
		if !ok {
			return nil, false
		}
		if _, event := message["event"]; event {
			continue
		}
		if e, failed := message["error"]; failed {
			m.t.Fatalf("QMP %s: %s", command, e)
		}
		return message["return"], true
	}
}

// human executes a command of the monitor for people, and returns what it prints.
func (m *monitor) human(line string) string {
	m.t.Helper()
	result, ok := m.do("human-monitor-command", map[string]string{"command-line": line})
	if !ok {
		m.t.Fatal("the machine has ended")
	}
	var text string
	if err := json.Unmarshal(result, &text); err != nil {
		m.t.Fatal(err)
	}
	return text
}

// A debugger is a connection by GDB's remote protocol, on which QEMU stops the machine.
type debugger struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// debug stops a machine.
func debug(t *testing.T, socket string) *debugger {
	t.Helper()
	conn, err := net.Dial("unix", socket+".gdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(deadline()); err != nil {
		t.Fatal(err)
	}
	d := &debugger{t, conn, bufio.NewReader(conn)}
	d.do("qXfer:features:read:target.xml:0,ffb") // QEMU tells registers only to who knows which there are
	return d
}

// do sends a packet and returns the answer.
func (d *debugger) do(packet string) string {
	d.t.Helper()
	sum := byte(0)
	for _, c := range []byte(packet) {
		sum += c
	}
	if _, err := fmt.Fprintf(d.conn, "$%s#%02x", packet, sum); err != nil {
		d.t.Fatal(err)
	}
	for {
		if _, err := d.in.ReadString('$'); err != nil {
			d.t.Fatal(err)
		}
		text, err := d.in.ReadString('#')
		if err != nil {
			d.t.Fatal(err)
		}
		if _, err := d.conn.Write([]byte("+")); err != nil {
			d.t.Fatal(err)
		}
		if !strings.HasPrefix(text, "T") { // the machine has stopped, which is no answer
			return strings.TrimSuffix(text, "#")
		}
	}
}

// release lets the machine run.
func (d *debugger) release() {
	d.t.Helper()
	d.do("D")
	d.conn.Close()
}

// Numbers of registers in the protocol for amd64.
const (
	debugRIP    = 16
	debugRFLAGS = 17
)

// register returns a register of the first CPU.
func (d *debugger) register(n int) uint64 {
	d.t.Helper()
	text := d.do(fmt.Sprintf("p%x", n))
	b, err := hex.DecodeString(text)
	if err != nil || len(b) < 4 {
		d.t.Fatalf("register %d: %q", n, text)
	}
	return binary.LittleEndian.Uint64(append(b, 0, 0, 0, 0))
}

// loadsFlags tells whether the next instruction takes RFLAGS from somewhere else: IRETQ, SYSRETQ, POPFQ.
func (d *debugger) loadsFlags() bool {
	d.t.Helper()
	code := d.do(fmt.Sprintf("m%x,3", d.register(debugRIP)))
	return strings.HasPrefix(code, "48cf") || strings.HasPrefix(code, "480f07") || strings.HasPrefix(code, "9d")
}
