package arm64

import (
	"encoding/binary"
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
)

// instruction is one expansion of a macro: the word and what it must decode to.
type instruction struct {
	macro string
	word  uint32
	text  string
}

var (
	defineLine = regexp.MustCompile(`^#define (\w+)\(([^)]*)\) WORD \$(.*)$`)
	argument   = regexp.MustCompile(`\b[a-z]\b`)
	template   = regexp.MustCompile(`<([a-z])>`)
)

// expandMacros expands every macro of the headers for random operands.
func expandMacros(t *testing.T) []instruction {
	t.Helper()
	var all []instruction
	for _, file := range []string{"macros_arm64.h", "macros_elementwise_arm64.h"} {
		all = append(all, expandHeader(t, file)...)
	}
	return all
}

// expandHeader expands every macro of one header.
func expandHeader(t *testing.T, file string) []instruction {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	var all []instruction
	lines := strings.Split(string(src), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "#define") {
			continue
		}
		m := defineLine.FindStringSubmatch(line)
		if m == nil || !strings.HasPrefix(lines[i-1], "// ") {
			t.Fatalf("%s:%d: not a WORD macro below a comment with its instruction: %s", file, i+1, line)
		}
		for range 100 {
			value := map[string]string{}
			for p := range strings.SplitSeq(m[2], ", ") {
				n := 32
				if p == "i" {
					n = 4 // a lane
				} else if p == "h" {
					n = 16 // a register whose lane is a halfword
				} else if strings.Contains(lines[i-1], "x<"+p+">") {
					n = 31 // 31 is SP or ZR
				}
				value[p] = fmt.Sprint(r.IntN(n))
			}
			expr := argument.ReplaceAllStringFunc(m[3], func(p string) string { return value[p] })
			tv, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expr)
			if err != nil {
				t.Fatalf("%s:%d: %s: %v", file, i+1, expr, err)
			}
			word, ok := constant.Uint64Val(tv.Value)
			if !ok || word>>32 != 0 {
				t.Fatalf("%s:%d: %s is not a 32-bit word", file, i+1, expr)
			}
			text := template.ReplaceAllStringFunc(strings.TrimPrefix(lines[i-1], "// "), func(p string) string {
				return value[p[1:2]]
			})
			all = append(all, instruction{m[1], uint32(word), text})
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s: no macros found", file)
	}
	return all
}

// plain removes what differs between disassemblers: case, blanks and braces.
func plain(s string) string {
	return strings.NewReplacer(" ", "", "\t", "", "{", "", "}", "").Replace(strings.ToLower(s))
}

func TestMacrosDecode(t *testing.T) {
	decoded := map[string]bool{}
	unknown := map[string]bool{}
	for _, in := range expandMacros(t) {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], in.word)
		got, err := arm64asm.Decode(b[:])
		if err != nil {
			unknown[in.macro] = true
			continue
		}
		decoded[in.macro] = true
		if text := arm64asm.GNUSyntax(got); plain(text) != plain(in.text) {
			t.Fatalf("%s: word %08x is %q, want %q", in.macro, in.word, text, in.text)
		}
	}
	t.Logf("%d macros decoded", len(decoded))
	for m := range unknown {
		t.Logf("%s: unknown to arm64asm, left to objdump", m)
	}
	if len(decoded) < 10 {
		t.Fatalf("only %d macros could be decoded", len(decoded))
	}
}

func TestMacrosObjdump(t *testing.T) {
	objdump, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil {
		t.Skip("NOT CHECKED: aarch64-linux-gnu-objdump (binutils-aarch64-linux-gnu) is not installed")
	}
	all := expandMacros(t)
	var code []byte
	for _, in := range all {
		code = binary.LittleEndian.AppendUint32(code, in.word)
	}
	file := filepath.Join(t.TempDir(), "words.bin")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\s*[0-9a-f]+:\t([0-9a-f]{8}) \t(.*)$`).FindAllSubmatch(out, -1)
	if len(row) != len(all) {
		t.Fatalf("objdump printed %d instructions of %d", len(row), len(all))
	}
	for i, in := range all {
		if got := string(row[i][2]); plain(got) != plain(in.text) {
			t.Fatalf("%s: word %08x is %q, want %q", in.macro, in.word, got, in.text)
		}
	}
}
