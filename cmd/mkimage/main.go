// Command mkimage turns the linked kernel into a bootable image: mkimage KERNEL.ELF IMAGE.
package main

import (
	"fmt"
	"os"

	"wick/vmm/image"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mkimage KERNEL.ELF IMAGE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(program, out string) error {
	file, err := os.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	b, err := image.Build(file)
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return os.WriteFile(out, b, 0o644)
}
