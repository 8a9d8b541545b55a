package guest

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"time"

	"wick/bundle"
	"wick/vmm"
	"wick/vmm/embedded"
)

// Wick writes the files of wick's kernel to dir: the image at path or, if that is empty, the one built into this program. what
// tells readers which it is.
// The guest's address is given, as wick run does and as the Linux guests do.
func Wick(name, path, what, dir string, programs map[Program]string) (*Kernel, error) {
	image, err := wickImage(path)
	if err != nil {
		return nil, err
	}
	size := int64(len(image))
	on := onMachine{size: Size{size, size}, initrds: make(map[Program]string)}
	k := &Kernel{Name: name, What: what, on: make(map[*Machine]onMachine)}
	if k.image, err = write(dir, name+".img", image); err != nil {
		return nil, err
	}
	for p, file := range programs {
		initrd, err := wickBundle(file)
		if err != nil {
			return nil, err
		}
		if on.initrds[p], err = write(dir, name+"-"+string(p)+".initrd", initrd); err != nil {
			return nil, err
		}
	}
	for _, m := range Machines {
		k.on[m] = on
	}
	return k, nil
}

func wickImage(path string) ([]byte, error) {
	if path != "" {
		return os.ReadFile(path)
	}
	f, err := embedded.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// wickBundle is the initial RAM disk with a program.
func wickBundle(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	path := "/bin/" + filepath.Base(file)
	c := &bundle.Config{
		Args: []string{path}, Env: []string{"HOME=/", "PATH=/"}, Path: path, Host: "bench",
		Address: vmm.GuestAddress, Gateway: vmm.Gateway, DNS: vmm.DNS,
		Seed: make([]byte, 32), Now: time.Now(),
	}
	rand.Read(c.Seed) // never fails
	var out bytes.Buffer
	err = bundle.Build(&out, c, []bundle.File{{Path: path, Mode: bundle.ModeRegular | 0o755, Data: data}})
	return out.Bytes(), err
}
