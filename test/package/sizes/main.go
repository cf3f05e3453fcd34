// Sizes prints what each dependency adds to whet, for arm64 and with the flags of
// release builds, as a table for board/README.md:
//
//	go run ./test/package/sizes
//
// It counts the symbols of a build that still has them: code, data, and a share of the
// table of functions (pclntab) by bytes of code. Types, strings and what lies between
// belong to no symbol of a package; they are a row of their own. What a dependency
// makes the linker keep of the standard library counts for the latter.
package main

import (
	"cmp"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	self    = "github.com/whet-edge/whet"
	program = self + "/board/whet"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "sizes")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	whole, stripped := filepath.Join(dir, "whole"), filepath.Join(dir, "stripped")
	if err := build(whole); err != nil {
		return err
	}
	if err := build(stripped, "-ldflags", "-s -w"); err != nil {
		return err
	}
	info, err := os.Stat(stripped)
	if err != nil {
		return err
	}
	sizes, err := attribute(whole)
	if err != nil {
		return err
	}
	show(sizes, info.Size())
	return nil
}

func build(out string, args ...string) error {
	flags, err := exec.Command("board/package/goflags").Output()
	if err != nil {
		return fmt.Errorf("board/package/goflags: %w (start this in the repository's root)", err)
	}
	args = slices.Concat([]string{"build", "-o", out}, strings.Fields(string(flags)), args, []string{"./board/whet"})
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// A size is what a part of the program takes, in bytes.
type size struct{ code, data, table int64 }

func (s size) all() int64 { return s.code + s.data + s.table }

// attribute adds up the symbols of a program by module.
func attribute(file string) (map[string]size, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var modules []string
	for _, m := range info.Deps {
		modules = append(modules, m.Path)
	}
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	sizes := map[string]size{}
	code := int64(0)
	for _, s := range symbols {
		if int(s.Section) >= len(f.Sections) || elf.ST_TYPE(s.Info) == elf.STT_SECTION {
			continue
		}
		sec := f.Sections[s.Section]
		name := owner(s.Name, modules)
		if name == "" || sec.Type == elf.SHT_NOBITS || sec.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		z := sizes[name]
		if sec.Flags&elf.SHF_EXECINSTR != 0 {
			z.code += int64(s.Size)
			code += int64(s.Size)
		} else {
			z.data += int64(s.Size)
		}
		sizes[name] = z
	}
	table := f.Section(".gopclntab")
	if table == nil || code == 0 {
		return nil, fmt.Errorf("%s has no table of functions", file)
	}
	for name, z := range sizes {
		z.table = int64(float64(table.Size) * float64(z.code) / float64(code))
		sizes[name] = z
	}
	return sizes, nil
}

// owner names the part of the program that a symbol belongs to: a module, a room of
// this one, or a group of the standard library; "" if it is nobody's.
func owner(symbol string, modules []string) string {
	symbol, _, _ = strings.Cut(symbol, "[") // of an instance, the generic function's
	if strings.HasPrefix(symbol, "go:") || strings.HasPrefix(symbol, "type:") || strings.HasPrefix(symbol, "$") {
		return ""
	}
	if strings.HasPrefix(symbol, "main.") {
		symbol = program + symbol[len("main"):]
	}
	slash := strings.LastIndex(symbol, "/")
	dot := strings.Index(symbol[slash+1:], ".")
	if dot < 0 {
		return "" // of the linker
	}
	path := strings.ReplaceAll(symbol[:slash+1+dot], "%2e", ".")
	if rest, ok := strings.CutPrefix(path, self+"/"); ok {
		if rest == "board/demo" {
			return "whet: the demo's network and pictures"
		}
		room, _, _ := strings.Cut(rest, "/")
		return "whet: " + room
	}
	for _, m := range modules {
		if path == m || strings.HasPrefix(path, m+"/") {
			return m
		}
	}
	for _, g := range groups {
		for _, p := range g.paths {
			if path == p || strings.HasPrefix(path, p+"/") {
				return "Go: " + g.name
			}
		}
	}
	return "Go: the rest"
}

// groups are parts of the standard library that go together.
var groups = []struct {
	name  string
	paths []string
}{
	{"TLS and cryptography", []string{"crypto", "vendor/golang.org/x/crypto", "hash", "math/big", "encoding/asn1", "encoding/pem"}},
	{"HTTP and networks", []string{"net", "vendor/golang.org/x/net", "vendor/golang.org/x/text", "mime", "internal/nettrace"}},
	{"pictures", []string{"image", "compress"}},
	{"templates, reflection, text", []string{"text", "reflect", "internal/reflectlite", "regexp", "encoding", "fmt", "strconv", "internal/strconv", "unicode", "strings", "bytes", "log"}},
	{"runtime", []string{"runtime", "internal/runtime", "internal/abi", "sync", "internal/sync"}},
}

func show(sizes map[string]size, file int64) {
	var names []string
	rest := file
	for name, z := range sizes {
		names = append(names, name)
		rest -= z.all()
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(-cmp.Compare(sizes[a].all(), sizes[b].all()), strings.Compare(a, b))
	})
	kib := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/1024) }
	fmt.Println("| part | KiB | code | data | function table |\n|---|---:|---:|---:|---:|")
	for _, name := range names {
		z := sizes[name]
		fmt.Printf("| %s | %s | %s | %s | %s |\n", name, kib(z.all()), kib(z.code), kib(z.data), kib(z.table))
	}
	fmt.Printf("| types, strings, headers | %s | | | |\n| **whet, arm64** | **%s** | | | |\n", kib(rest), kib(file))
}
