package main

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/whet-edge/whet/test/arm64/model"
)

// kernelPackage begins the symbols of the kernels; abi0 ends those in assembly.
const (
	kernelPackage = "github.com/whet-edge/whet/kernels/arm64."
	assembly      = ".abi0"
)

// A loop is the code of a kernel's inner loop, its branch back included.
type loop struct {
	kernel string
	words  []uint32
}

// readLoops takes the inner loop out of every kernel of an arm64 program, in the order
// of their names. A kernel without a loop is left out.
func readLoops(program string) ([]loop, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Machine != elf.EM_AARCH64 {
		return nil, fmt.Errorf("%s: not an arm64 program", program)
	}
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	text := f.Section(".text")
	if text == nil {
		return nil, fmt.Errorf("%s: no .text", program)
	}
	code, err := text.Data()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	var loops []loop
	for _, s := range symbols {
		name, ours := strings.CutPrefix(s.Name, kernelPackage)
		name, inAssembly := strings.CutSuffix(name, assembly)
		if !ours || !inAssembly {
			continue
		}
		if s.Value < text.Addr || s.Value+s.Size > text.Addr+uint64(len(code)) {
			return nil, fmt.Errorf("%s: %s lies outside .text", program, name)
		}
		body := code[s.Value-text.Addr:][:s.Size]
		words := make([]uint32, len(body)/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(body[4*i:])
		}
		if inner := innerLoop(words); inner != nil {
			loops = append(loops, loop{name, inner})
		}
	}
	if len(loops) == 0 {
		return nil, fmt.Errorf("%s: no kernels of %s", program, kernelPackage)
	}
	slices.SortFunc(loops, func(a, b loop) int { return cmp.Compare(a.kernel, b.kernel) })
	return loops, nil
}

// innerLoop returns the loop of a function that does the work: of those that have no
// loop inside, the one with the most multiply-accumulates, then the longest.
func innerLoop(words []uint32) []uint32 {
	type span struct{ from, to int } // a branch at to goes back to from
	var spans []span
	for i, w := range words {
		if d := branch(w); d < 0 && i+d >= 0 {
			spans = append(spans, span{i + d, i})
		}
	}
	var best []uint32
	bestMACs := -1
	for _, s := range spans {
		outer := slices.ContainsFunc(spans, func(in span) bool {
			return in != s && s.from <= in.from && in.to <= s.to && in.from != s.from
		})
		if outer {
			continue
		}
		body := words[s.from : s.to+1]
		macs := 0
		for _, w := range body {
			macs += model.MACs(w)
		}
		if macs > bestMACs || macs == bestMACs && len(body) > len(best) {
			best, bestMACs = body, macs
		}
	}
	return best
}

// branch returns how many instructions a branch jumps, 0 for all else; Arm ARM
// (DDI 0487), C4.1.93.
func branch(w uint32) int {
	switch {
	case w&0xff000010 == 0x54000000, w&0x7e000000 == 0x34000000: // b.cond; cbz, cbnz
		return int(int32(w<<8) >> 13)
	case w&0x7e000000 == 0x36000000: // tbz, tbnz
		return int(int32(w<<13) >> 18)
	case w&0xfc000000 == 0x14000000: // b
		return int(int32(w<<6) >> 6)
	}
	return 0
}
