package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
)

// Fields of the header of a bzImage [Linux, arch/x86/boot].
const (
	setupSectorsAt  = 0x1f1 // sectors of 512 bytes behind the first that come before the protected-mode part; 0 means 4
	magicAt         = 0x202 // "HdrS"
	payloadOffsetAt = 0x248 // in the protected-mode part
	payloadLengthAt = 0x24c
	headerEnd       = 0x250
)

var errNoBzImage = errors.New("not a bzImage")

// compressions are those in which Debian's kernels come. Behind the compressed data Linux puts its size.
var compressions = []struct {
	magic   string
	command []string
}{
	{"\xfd7zXZ", []string{"xz", "-dc", "--single-stream"}},
	{"\x02\x21\x4c\x18", []string{"lz4", "-dc"}},
	{"\x1f\x8b", []string{"gzip", "-dc"}},
}

const elfMagic = "\x7fELF"

// vmlinux returns the ELF file in a bzImage. QEMU enters it by its PVH note, so that no guest spends its boot on unpacking
// its kernel.
func vmlinux(bzImage []byte) ([]byte, error) {
	packed, err := payload(bzImage)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(packed, []byte(elfMagic)) {
		return packed, nil
	}
	for _, c := range compressions {
		if !bytes.HasPrefix(packed, []byte(c.magic)) {
			continue
		}
		cmd := exec.Command(c.command[0], c.command[1:]...)
		cmd.Stdin = bytes.NewReader(packed)
		// gzip and lz4 complain about the size behind the data; whether what came out is whole, the ELF header says.
		out, err := cmd.Output()
		if !bytes.HasPrefix(out, []byte(elfMagic)) {
			return nil, fmt.Errorf("%s: no ELF file came out: %w", c.command[0], err)
		}
		return out, nil
	}
	return nil, fmt.Errorf("bzImage: payload of an unknown compression: % x", packed[:min(8, len(packed))])
}

// payload returns the compressed kernel, without the size behind it.
func payload(bzImage []byte) ([]byte, error) {
	if len(bzImage) < headerEnd || string(bzImage[magicAt:magicAt+4]) != "HdrS" {
		return nil, errNoBzImage
	}
	setup := int64(bzImage[setupSectorsAt])
	if setup == 0 {
		setup = 4
	}
	from := (setup+1)*512 + int64(binary.LittleEndian.Uint32(bzImage[payloadOffsetAt:]))
	to := from + int64(binary.LittleEndian.Uint32(bzImage[payloadLengthAt:])) - 4
	if from > to || to > int64(len(bzImage)) {
		return nil, fmt.Errorf("bzImage: the payload is from %d to %d in %d bytes", from, to, len(bzImage))
	}
	return bzImage[from:to], nil
}
