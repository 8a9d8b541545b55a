package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"wick/bundle"
	"wick/vmm"
	"wick/vmm/preflight"
)

// Names of the files that wick build makes.
const (
	kernelName = "kernel.img"
	bundleName = "initrd.img"
	scriptName = "boot.sh"
)

func newBuild() *cobra.Command {
	f := new(machineFlags)
	var dir string
	cmd := &cobra.Command{
		Use:   "build -o DIR [flags] PROGRAM [ARG…]",
		Short: "Make the files that boot a program without wick",
		Long: `Build writes the kernel, the initial file system with the program in it, and a script with the QEMU
line that boots them. Nothing of wick is needed to boot: the guest asks for its address by DHCP, its output
goes to the first serial port, and its memory holds no secret of this host: seed and clock come from the machine.

The flags other than -o, -e, -f and -w set what the script starts with; the image does not depend on them.
With VSOCK=SOCKET in its environment the script gives the machine the vsock device that wick vsock serve has at SOCKET.`,
		Example: `  wick build -o image ./server
  image/boot.sh
  wick build -o image -p 8080:80 -m 256M ./server -verbose
  VSOCK=/tmp/q3 image/boot.sh                         after wick vsock serve --guest cid=3,socket=/tmp/q3,path=/tmp/v3`,
		Args: programArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return fmt.Errorf("where to? wick build -o DIR %s", args[0])
			}
			if err := f.parse(); err != nil {
				return err
			}
			if f.machine.Accel == autoAccel {
				f.machine.Accel = vmm.TCG
			}
			return f.build(cmd.OutOrStdout(), dir, args)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringVarP(&dir, "output", "o", "", "`DIR`ectory to write to; it is made if need be")
	return cmd
}

// build writes the image to dir and the line that boots it to out.
func (f *machineFlags) build(out io.Writer, dir string, args []string) error {
	kernel := openKernelEarly()
	defer kernel.close()
	program, err := preflight.Open(args[0])
	if err != nil {
		return err
	}
	image, err := kernel.wait()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	size, err := image.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := writeFile(dir, kernelName, 0o666, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(image, 0, size))
		return err
	}); err != nil {
		return err
	}
	files, programPath, err := f.initialFiles(program)
	if err != nil {
		return err
	}
	cfg := f.programConfig(programPath, args[1:], mergeEnv(environment, f.env))
	if err := writeFile(dir, bundleName, 0o666, func(w io.Writer) error {
		return describeBundle(bundle.Build(w, cfg, files))
	}); err != nil {
		return err
	}
	bundled, err := os.Stat(filepath.Join(dir, bundleName))
	if err != nil {
		return err
	}
	leastMiB, err := f.enoughMemory(size + bundled.Size())
	if err != nil {
		return err
	}
	if err := writeFile(dir, scriptName, 0o777, func(w io.Writer) error {
		_, err := io.WriteString(w, f.script(leastMiB))
		return err
	}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, f.commandLine(filepath.Join(dir, kernelName), filepath.Join(dir, bundleName)))
	return err
}

// writeFile writes a file under a temporary name and renames it: an image that boots is not half
// overwritten, and a machine that runs from it keeps what it has.
func writeFile(dir, name string, mode os.FileMode, write func(io.Writer) error) (err error) {
	temporary := filepath.Join(dir, "."+name+".new")
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(temporary)
		}
	}()
	w := bufio.NewWriterSize(file, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, name))
}

// script returns a shell script that boots the image wherever it lies, with more options of QEMU
// if it gets some. It refuses a machine with less memory than leastMiB.
func (f *machineFlags) script(leastMiB int64) string {
	const here, socket = "@here@", "@socket@" // stand for the script's directory and $VSOCK, which only the script knows
	line := f.commandLine(here+"/"+kernelName, here+"/"+bundleName)
	vsock := shellLine(f.machine.VsockArgs("path=" + socket))
	return `#!/bin/sh
# Boots the image beside it in QEMU; made by wick build. Arguments are passed on to QEMU.
# The program's output and the kernel's go to standard output. QEMU's exit status is not the
# program's: isa-debug-exit makes (v << 1) | 1 of what the kernel writes to it.
#
# With VSOCK=SOCKET in the environment the machine has a vsock device, which is at the other end of
# that socket. It must be there before, for example by
#     wick vsock serve --guest cid=3,socket=SOCKET,path=PATH
# Then wick vsock connect PATH PORT connects to a port of the machine. (A comma in SOCKET is written twice.)
here=$(dirname "$0")

# With less memory, QEMU may load one part of the image over the other, and the machine would hang without a word.
least=` + strconv.FormatInt(leastMiB, 10) + ` # MiB
option=
for word; do
	if [ "$option" = -m ]; then
		size=${word#size=}
		size=${size%%,*}
		case $size in
		'' | *[!0-9]*[!0-9]*) kib= ;; # QEMU will say what it thinks of it
		*[kK]) kib=${size%?} ;;
		*[mM]) kib=$((${size%?} * 1024)) ;;
		*[gG]) kib=$((${size%?} * 1048576)) ;;
		*[!0-9]*) kib= ;;
		*) kib=$((size * 1024)) ;;
		esac
		if [ -n "$kib" ] && [ "$kib" -lt $((least * 1024)) ]; then
			echo "wick: not enough memory: -m $word is too little for this image: at least ${least}M, better twice that" >&2
			exit 251 # as QEMU, when the kernel tells so
		fi
	fi
	option=$word
done
if [ -n "$VSOCK" ]; then
	set -- ` + strings.ReplaceAll(vsock, socket, `"$VSOCK"`) + ` "$@"
fi
exec ` + strings.ReplaceAll(line, here, `"$here"`) + ` "$@"
`
}

// commandLine returns the QEMU line for a shell.
func (f *machineFlags) commandLine(kernel, bundle string) string {
	return shellLine(append([]string{"qemu-system-x86_64"}, f.machine.ByHand(kernel, bundle)...))
}

// shellLine returns words for a shell.
func shellLine(words []string) string {
	var quoted []string
	for _, word := range words {
		quoted = append(quoted, shellQuote(word))
	}
	return strings.Join(quoted, " ")
}

// shellQuote quotes a word for sh if it has to be.
func shellQuote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
