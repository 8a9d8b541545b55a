package main

import (
	"bytes"
	"testing"

	"wick/kernel/ground"
	"wick/kernel/vdso"
)

// TestGroundsCodeFitsTheVDSO checks that the kernel starts with the code that ground has.
func TestGroundsCodeFitsTheVDSO(t *testing.T) {
	code, entrySize, _, ok := ground.VDSO()
	if !ok {
		t.Fatal("ground has no code here, where there is no KVM")
	}
	image, err := vdso.Image(code, entrySize)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(image, code) {
		t.Error("the code isn't in the image")
	}
}
