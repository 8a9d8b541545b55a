package embedded

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/fstest"
)

func TestOpenGivesTheImage(t *testing.T) {
	want := bytes.Repeat([]byte("kernel"), 200_000)
	folder := fstest.MapFS{imageName: &fstest.MapFile{Data: want}}
	if n, err := sizeOf(folder); n != int64(len(want)) || err != nil {
		t.Fatalf("size: got %d, %v, want %d", n, err, len(want))
	}
	f, err := open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d or other ones", len(got), len(want))
	}
}

func TestNoImage(t *testing.T) {
	folder := fstest.MapFS{"image/README": &fstest.MapFile{}}
	if _, err := open(folder); !errors.Is(err, ErrNoImage) {
		t.Errorf("open: got %v", err)
	}
	if _, err := sizeOf(folder); !errors.Is(err, ErrNoImage) {
		t.Errorf("size: got %v", err)
	}
}
