package main

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"
)

// functions returns what names the function of an address in a program.
func functions(program string) (func(addr uint64) string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	symbols = slices.DeleteFunc(symbols, func(s elf.Symbol) bool { return elf.ST_TYPE(s.Info) != elf.STT_FUNC })
	slices.SortFunc(symbols, func(a, b elf.Symbol) int { return cmp.Compare(a.Value, b.Value) })
	return func(addr uint64) string {
		i, found := slices.BinarySearchFunc(symbols, addr, func(s elf.Symbol, a uint64) int { return cmp.Compare(s.Value, a) })
		if !found {
			i--
		}
		if i < 0 {
			return fmt.Sprintf("%#x", addr)
		}
		return fmt.Sprintf("%s+%#x", symbols[i].Name, addr-symbols[i].Value)
	}, nil
}
