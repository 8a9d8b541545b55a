// Memory checks what Go's runtime needs of memory: growth, garbage collection under load, memory given back and
// taken again, large stacks, mapped files.
package main

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func main() {
	check.Main(
		check.Case{Name: "churn", Run: churn},
		check.Case{Name: "large", Run: large},
		check.Case{Name: "give-back", Run: giveBack},
		check.Case{Name: "large-bss", Run: largeBSS},
		check.Case{Name: "deep-stacks", Run: deepStacks},
		check.Case{Name: "mapped-file", Run: mappedFile},
	)
}

// node is a tree with checksums over its payloads.
type node struct {
	payload     []byte
	sum         uint32
	left, right *node
}

func tree(depth int, random *rand.Rand) *node {
	if depth == 0 {
		return nil
	}
	n := &node{payload: make([]byte, random.IntN(500)), left: tree(depth-1, random), right: tree(depth-1, random)}
	for i := range n.payload {
		n.payload[i] = byte(random.Uint32())
	}
	n.sum = crc32.ChecksumIEEE(n.payload)
	return n
}

func (n *node) count(t *check.T) int {
	if n == nil {
		return 0
	}
	if crc32.ChecksumIEEE(n.payload) != n.sum {
		t.Errorf("a payload of %d bytes has changed", len(n.payload))
	}
	return 1 + n.left.count(t) + n.right.count(t)
}

// churn builds and drops trees on several goroutines while the collector runs all the time.
func churn(t *check.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			keep := tree(10, random)
			for range 20 {
				check.Equal(t, "nodes", tree(8, random).count(t), 255)
			}
			check.Equal(t, "nodes kept", keep.count(t), 1023)
		})
	}
	wg.Wait()
}

func large(t *check.T) {
	for _, size := range []int{1 << 20, 1<<22 + 1, 1 << 24, 40 << 20} {
		b := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			if b[i] != 0 {
				t.Fatalf("new memory holds %d", b[i])
			}
			b[i] = byte(i >> 12)
		}
		for i := 0; i < size; i += 4096 {
			if b[i] != byte(i>>12) {
				t.Fatalf("memory of %d bytes lost what stood at %d", size, i)
			}
		}
	}
}

func giveBack(t *check.T) {
	for round := range 5 {
		b := bytes.Repeat([]byte{byte(round + 1)}, 16<<20)
		if b[len(b)-1] != byte(round+1) {
			t.Errorf("round %d: wrong content", round)
		}
		runtime.KeepAlive(b)
		b = nil
		debug.FreeOSMemory() // MADV_DONTNEED over what is free
	}
}

// zeros is most of what a machine of 128 MiB has; only what is touched costs.
var zeros [96 << 20]byte

func largeBSS(t *check.T) {
	for i := 0; i < len(zeros); i += 16 << 20 {
		if zeros[i+100] != 0 {
			t.Fatalf("the BSS holds %d at %d", zeros[i+100], i)
		}
		zeros[i] = 1
	}
}

//go:noinline
func recurse(n int) int {
	var frame [100]int
	frame[n%100] = n
	if n == 0 {
		return 0
	}
	return recurse(n-1) + frame[n%100] - n + 1
}

func deepStacks(t *check.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { check.Equal(t, "depth", recurse(5000), 5000) })
	}
	wg.Wait()
}

func mappedFile(t *check.T) {
	f, err := os.CreateTemp("", "memory-")
	t.Must(err)
	defer os.Remove(f.Name())
	defer f.Close()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	_, err = f.Write(want)
	t.Must(err)
	m, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	t.Must(err)
	if !bytes.Equal(m, want) {
		t.Errorf("the mapping differs from the file")
	}
	copy(m[70000:], "written through the mapping")
	got := make([]byte, 7)
	_, err = f.ReadAt(got, 70000)
	t.Must(err)
	check.Equal(t, "file", string(got), "written")
	t.Must(unix.Munmap(m))
}
