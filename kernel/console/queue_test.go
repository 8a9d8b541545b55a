package console

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"wick/hostlink"
)

func TestQueueKeepsBytesAndOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	types := []hostlink.Type{hostlink.Stdout, hostlink.Stderr, hostlink.Log}
	q := &queue{capacity: 1000}
	// What was pushed and popped, as pairs of type and byte.
	var pushed, popped []byte
	next := byte(0)
	for range 20000 {
		if random.IntN(2) == 0 {
			typ := types[random.IntN(len(types))]
			n := min(random.IntN(300), q.room(typ))
			if n == 0 {
				continue
			}
			p := make([]byte, n)
			for i := range p {
				p[i] = next
				pushed = append(pushed, byte(typ), next)
				next++
			}
			q.push(typ, p)
		} else if !q.empty() {
			limit := 1 + random.IntN(200)
			frame, n := q.pop(nil, limit)
			if n == 0 || n > limit || len(frame) != hostlink.HeaderSize+n {
				t.Fatalf("popped %d bytes in a frame of %d, limit %d", n, len(frame), limit)
			}
			f, err := hostlink.NewReader(bytes.NewReader(frame)).Next()
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range f.Payload {
				popped = append(popped, byte(f.Type), b)
			}
		}
		if q.used < 0 || q.used > q.capacity || q.count > maxRecords {
			t.Fatalf("%d bytes in %d records", q.used, q.count)
		}
	}
	if !bytes.Equal(popped, pushed[:len(popped)]) || len(popped) < 100000 {
		t.Errorf("%d bytes came out, not all as they went in", len(popped)/2)
	}
}

func TestQueueJoinsPiecesOfAStream(t *testing.T) {
	q := &queue{capacity: 100}
	q.push(hostlink.Stdout, []byte("a"))
	q.push(hostlink.Stdout, []byte("b"))
	q.push(hostlink.TermMode, []byte("123456789012"))
	q.push(hostlink.TermMode, []byte("abcdefghijkl"))
	if q.count != 3 {
		t.Errorf("%d records, want 3", q.count)
	}
	frame, _ := q.pop(nil, 50)
	if want := append(hostlink.AppendHeader(nil, hostlink.Stdout, 2), "ab"...); !bytes.Equal(frame, want) {
		t.Errorf("got %q", frame)
	}
}

func TestQueueOfManyRecords(t *testing.T) {
	q := &queue{capacity: 1000}
	for i := range maxRecords {
		q.push(hostlink.Stdout+hostlink.Type(i%2), []byte("x"))
	}
	if q.room(hostlink.Stdout) != 0 || q.room(hostlink.Stderr) != 1000-maxRecords {
		t.Errorf("room for %d and %d", q.room(hostlink.Stdout), q.room(hostlink.Stderr))
	}
}
