//go:build !purego

package amd64

import (
	"bytes"
	"encoding/hex"
	"os"
	"testing"
)

// The instructions that the assembler does not know are written as bytes. This
// test looks for them in its own executable as GNU as 2.40 encodes them: the
// pairs {vex} vpdpbusd ymm12,ymm14,ymm(2r); {vex} vpdpbusd ymm13,ymm14,ymm(2r+1) of
// the six rows of a tile, and the same in the EVEX encoding.
func TestEncoding(t *testing.T) {
	linked := []func(*QGemmArgs){QGemm12x16AVXVNNI, QGemm12x16VNNI256}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, pairs := range [][]string{
		{
			"c4c20d50c4 c4c20d50cd", "c4c20d50d4 c4c20d50dd", "c4c20d50e4 c4c20d50ed",
			"c4c20d50f4 c4c20d50fd", "c4420d50c4 c4420d50cd", "c4420d50d4 c4420d50dd",
		},
		{
			"62d20d2850c4 62d20d2850cd", "62d20d2850d4 62d20d2850dd", "62d20d2850e4 62d20d2850ed",
			"62d20d2850f4 62d20d2850fd", "62520d2850c4 62520d2850cd", "62520d2850d4 62520d2850dd",
		},
	} {
		if linked[i] == nil {
			t.Fatal("not linked")
		}
		for r, pair := range pairs {
			code, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(pair), []byte(" "), nil)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(program, code) {
				t.Errorf("form %d, row %d: %s is not in the program", i, r, pair)
			}
		}
	}
}
