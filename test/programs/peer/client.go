package peer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// limit is how long one exchange with a server may take.
const limit = 5 * time.Minute

// dial connects and sends a command.
func dial(address, command string) (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", address, limit)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintln(conn, command); err != nil {
		conn.Close()
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// Download gets n bytes of a stream on a connection of its own.
func Download(address string, n int64, seed uint64) error {
	conn, err := dial(address, fmt.Sprintf("send %d %d", n, seed))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := Take(conn, n, seed); err != nil {
		return err
	}
	return TakeEnd(conn)
}

// Upload sends n bytes of a stream on a connection of its own, and gets the server's verdict.
func Upload(address string, n int64, seed uint64) error {
	conn, err := dial(address, fmt.Sprintf("take %d %d", n, seed))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := Send(conn, n, seed); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("ok %d\n", n); answer != want {
		return fmt.Errorf("the server says %q, want %q", answer, want)
	}
	return nil
}

// Echo sends n bytes of a stream and gets them back meanwhile.
func Echo(address string, n int64, seed uint64) error {
	conn, err := dial(address, "echo")
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := make(chan error, 1)
	go func() {
		err := Send(conn, n, seed)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	if err := Take(conn, n, seed); err != nil {
		return err
	}
	return errors.Join(TakeEnd(conn), <-sent)
}

// ask sends a command that has one line as its answer.
func ask(address, command string) (string, error) {
	conn, err := dial(address, command)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSuffix(answer, "\n"), nil
}

// FreePort asks the server for a TCP port of its address at which nobody listens.
func FreePort(address string) (int, error) {
	answer, err := ask(address, "free")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(answer)
}

// Quit asks the server to end.
func Quit(address string) error {
	answer, err := ask(address, "quit")
	if err == nil && answer != "ok" {
		err = fmt.Errorf("the server says %q to quit", answer)
	}
	return err
}
