package measure

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wick/vsock/hybrid"
)

// What the loads send and for how long.
const (
	payloadSize = 64   // bytes of an echo
	echoes      = 1000 // one after the other
	window      = 32   // outstanding datagrams
	keptAlive   = 16   // connections of HTTP
	fresh       = 16   // connections of HTTP at a time, each for one request
	loadTime    = time.Second
	fewest      = 100              // requests or connections, if they come within patience: a starved host may answer few in loadTime
	patience    = 20 * time.Second // for a single answer
)

// outcome is what a load has measured.
type outcome struct {
	operations float64 // what CPU time is divided by
	values     Values
}

func dialUDP(port uint16) (*net.UDPConn, error) {
	return net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
}

// firstReply probes the UDP echo until it answers, and waits for the echoes of all probes to be through. Probes that come
// too early are queued in QEMU and reach the guest all at once, so they become rarer as time goes: a fiftieth of what it
// has taken so far lies between two.
func firstReply(ctx context.Context, port uint16) (time.Time, error) {
	c, err := dialUDP(port)
	if err != nil {
		return time.Time{}, err
	}
	defer c.Close()
	buf := make([]byte, 2048)
	for start := time.Now(); ctx.Err() == nil; {
		c.Write(buf[:payloadSize]) // refused as long as QEMU doesn't listen
		next := time.Now().Add(max(2*time.Millisecond, time.Since(start)/50))
		c.SetReadDeadline(next)
		if _, err := c.Read(buf); err == nil {
			at := time.Now()
			return at, drain(c, buf)
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(time.Until(next))
		}
	}
	return time.Time{}, errors.New("no answer by UDP in time")
}

// drain reads what still comes, until nothing has come for a while.
func drain(c *net.UDPConn, buf []byte) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(buf); err != nil {
			return nil
		}
	}
	return errors.New("the answers to the first probes don't end")
}

// udpEcho sends datagrams, each when the one before has come back.
func udpEcho(port uint16) (outcome, error) {
	c, err := dialUDP(port)
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	out, in := make([]byte, payloadSize), make([]byte, 2048)
	times := make([]time.Duration, 0, echoes)
	for i := uint64(1); len(times) < echoes; i++ {
		binary.LittleEndian.PutUint64(out, i)
		start := time.Now()
		c.SetDeadline(start.Add(patience))
		if _, err := c.Write(out); err != nil {
			return outcome{}, err
		}
		n, err := c.Read(in)
		if err != nil {
			return outcome{}, err // nothing loses packets here
		}
		times = append(times, time.Since(start))
		if n != payloadSize || binary.LittleEndian.Uint64(in) != i {
			return outcome{}, fmt.Errorf("UDP echo %d came back changed or out of turn", i)
		}
	}
	return roundTrips(times), nil
}

// dialer connects to a port of the guest, over TCP or vsock.
type dialer func() (stream, error)

// stream is a connection with a guest.
type stream interface {
	net.Conn
	CloseWrite() error
}

func tcp(port uint16) dialer {
	return func() (stream, error) {
		c, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

func vsock(path string, port uint32) dialer {
	return func() (stream, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := hybrid.DialContext(ctx, path, port)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// open connects, for a load.
func (dial dialer) open() (stream, error) {
	c, err := dial()
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(loadTime + 3*patience))
}

// streamEcho is udpEcho on a connection.
func streamEcho(dial dialer) (outcome, error) {
	c, err := dial.open()
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	out, in := make([]byte, payloadSize), make([]byte, payloadSize)
	times := make([]time.Duration, 0, echoes)
	for i := uint64(1); len(times) < echoes; i++ {
		binary.LittleEndian.PutUint64(out, i)
		start := time.Now()
		if _, err := c.Write(out); err != nil {
			return outcome{}, err
		}
		if _, err := io.ReadFull(c, in); err != nil {
			return outcome{}, err
		}
		times = append(times, time.Since(start))
		if binary.LittleEndian.Uint64(in) != i {
			return outcome{}, fmt.Errorf("echo %d came back changed", i)
		}
	}
	return roundTrips(times), nil
}

func roundTrips(times []time.Duration) outcome {
	slices.Sort(times)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	return outcome{float64(len(times)), Values{
		"p50_us": us(times[len(times)/2]), "p99_us": us(times[len(times)*99/100]),
	}}
}

// udpRate keeps window datagrams outstanding and counts those that come back.
func udpRate(port uint16) (outcome, error) {
	c, err := dialUDP(port)
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	buf := make([]byte, 2048)
	for range window {
		if _, err := c.Write(buf[:payloadSize]); err != nil {
			return outcome{}, err
		}
	}
	back, start := 0, time.Now()
	for time.Since(start) < loadTime {
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(buf); err != nil {
			return outcome{}, fmt.Errorf("all datagrams outstanding are lost: %w", err)
		}
		back++
		if _, err := c.Write(buf[:payloadSize]); err != nil {
			return outcome{}, err
		}
	}
	took := time.Since(start)
	return outcome{float64(back), Values{"per_s": float64(back) / took.Seconds()}}, drain(c, buf)
}

// streamIn sends to the guest until loadTime is over, ends its side and waits for the guest's end, so that nothing that is
// still in a buffer counts. The operation is 10^6 bytes.
func streamIn(dial dialer) (outcome, error) {
	c, err := dial.open()
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	buf := make([]byte, 64<<10)
	sent, start := 0, time.Now()
	for time.Since(start) < loadTime {
		n, err := c.Write(buf)
		if err != nil {
			return outcome{}, err
		}
		sent += n
	}
	if err := c.CloseWrite(); err != nil {
		return outcome{}, err
	}
	if _, err := c.Read(buf); err != io.EOF {
		return outcome{}, fmt.Errorf("instead of the connection's end: %v", err)
	}
	return throughput(sent, time.Since(start)), nil
}

// streamOut reads from the guest for loadTime.
func streamOut(dial dialer) (outcome, error) {
	c, err := dial.open()
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	buf := make([]byte, 64<<10)
	got, start := 0, time.Now()
	for time.Since(start) < loadTime {
		n, err := c.Read(buf)
		if err != nil {
			return outcome{}, err
		}
		got += n
	}
	return throughput(got, time.Since(start)), nil
}

// connectRate makes connections to a port that reads until the end, and ends them: a few at a time, one after the other. An
// operation is a connection, from the first packet to the last.
func connectRate(dial dialer) (outcome, error) {
	n, took, err := repeat(fresh, func() error {
		c, err := dial.open()
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.CloseWrite(); err != nil {
			return err
		}
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			return fmt.Errorf("instead of the connection's end: %d bytes, %v", n, err)
		}
		return nil
	})
	return outcome{n, Values{"per_s": n / took.Seconds()}}, err
}

// repeat does something again and again for loadTime, so often at a time, and returns how often it was done.
func repeat(atOnce int, do func() error) (times float64, took time.Duration, err error) {
	var done atomic.Int64
	failed := make([]error, atOnce)
	var workers sync.WaitGroup
	start := time.Now()
	more := func() bool {
		passed := time.Since(start)
		return passed < loadTime || passed < patience && done.Load() < fewest
	}
	for i := range atOnce {
		workers.Go(func() {
			for failed[i] == nil && more() {
				if failed[i] = do(); failed[i] == nil {
					done.Add(1)
				}
			}
		})
	}
	workers.Wait()
	return float64(done.Load()), time.Since(start), cmp.Or(failed...) // one says enough
}

func throughput(bytes int, took time.Duration) outcome {
	mb := float64(bytes) / 1e6
	return outcome{mb, Values{"mb_per_s": mb / took.Seconds()}}
}

// httpRate sends requests on several connections at once, each when the one before has been answered. They are kept alive,
// or there is one for each request.
func httpRate(port uint16, connections int, keepAlive bool) (outcome, error) {
	transport := &http.Transport{DisableKeepAlives: !keepAlive, MaxIdleConnsPerHost: connections, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	n, took, err := repeat(connections, func() error { return get(client, url) })
	return outcome{n, Values{"per_s": n / took.Seconds()}}, err
}

// page is what the server answers, by HTTP.
const page = "hello, world\n"

func get(client *http.Client, url string) error {
	r, err := client.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err == nil && (r.StatusCode != http.StatusOK || string(body) != page) {
		err = fmt.Errorf("%s: %s, %q", url, r.Status, body)
	}
	return err
}
