// Command samebytes builds whet-convert for other systems and processors, has each
// build quantize the same network on the same samples, and compares the files: the
// bytes of a .whet depend on what it is made of alone.
//
//	go run ./test/samebytes --model FILE.tflite --calibrate FILE.npz
//
// It is for linux/amd64, which runs 386 itself. Builds of other processors run under qemu-user, those of WebAssembly under node, that
// of Windows under wine. A build that cannot run here is named as NOT RUN. Wine 8 lacks
// a library that Go's programs begin with, bcryptprimitives.dll; a compiler for Windows
// (gcc-mingw-w64-x86-64) makes one of wine's own parts.
//
// The exit code is 1 if two files differ or a build fails.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A build is whet-convert for a system, and what runs it here.
type build struct {
	system, processor string
	tags              string
	runner            []string // nil: the system itself; its first word must be a program
	prepare           func(ctx context.Context, dir string) (env []string, err error)
}

var builds = []build{
	{system: "linux", processor: "amd64"},
	{system: "linux", processor: "amd64", tags: "purego"},
	{system: "linux", processor: "386"},
	{system: "linux", processor: "arm64", runner: []string{"qemu-aarch64"}},
	{system: "linux", processor: "arm", runner: []string{"qemu-arm"}},
	{system: "linux", processor: "riscv64", runner: []string{"qemu-riscv64"}},
	{system: "js", processor: "wasm", runner: []string{"node", "wasm_exec_node.js"}, prepare: javascript},
	{system: "windows", processor: "amd64", runner: []string{"wine"}, prepare: wine},
	{system: "darwin", processor: "arm64", runner: []string{"darling"}},
}

func (b *build) name() string {
	return strings.TrimSuffix(b.system+"/"+b.processor+" "+b.tags, " ")
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("samebytes", flag.ContinueOnError)
	fs.SetOutput(stderr)
	model := fs.String("model", "", "float model to quantize (required)")
	calibrate := fs.String("calibrate", "", "samples of its input (required)")
	only := fs.String("only", "", "builds whose name contains this, beside the first")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if *model == "" || *calibrate == "" || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "samebytes: give --model FILE and --calibrate FILE and no other arguments")
		return 2
	}
	dir, err := os.MkdirTemp("", "samebytes")
	if err != nil {
		fmt.Fprintln(stderr, "samebytes:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Programs for WebAssembly and Windows see files of their own folder best.
	for name, path := range map[string]string{"model" + filepath.Ext(*model): *model, "samples" + filepath.Ext(*calibrate): *calibrate} {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			fmt.Fprintln(stderr, "samebytes:", err)
			return 1
		}
	}
	var first [sha256.Size]byte
	code := 0
	for i, b := range builds {
		if i > 0 && !strings.Contains(b.name(), *only) {
			continue
		}
		if b.runner != nil {
			if _, err := exec.LookPath(b.runner[0]); err != nil {
				fmt.Fprintf(stdout, "%-20s NOT RUN: %v\n", b.name(), err)
				continue
			}
		}
		digest, err := b.digest(context.Background(), dir, "model"+filepath.Ext(*model), "samples"+filepath.Ext(*calibrate))
		switch {
		case err != nil:
			fmt.Fprintf(stdout, "%-20s FAILED: %v\n", b.name(), err)
			code = 1
		case i == 0:
			first = digest
			fmt.Fprintf(stdout, "%-20s %x\n", b.name(), digest)
		case digest != first:
			fmt.Fprintf(stdout, "%-20s %x DIFFERS\n", b.name(), digest)
			code = 1
		default:
			fmt.Fprintf(stdout, "%-20s %x\n", b.name(), digest)
		}
	}
	return code
}

// digest builds, quantizes and returns the SHA-256 of the file.
func (b *build) digest(ctx context.Context, dir, model, samples string) (sum [sha256.Size]byte, err error) {
	program, out := "convert.exe", "out.whet"
	if err := command(ctx, "", []string{"GOOS=" + b.system, "GOARCH=" + b.processor, "CGO_ENABLED=0"},
		"go", "build", "-tags", b.tags, "-o", filepath.Join(dir, program), "github.com/whet-edge/whet/tools/convert/whet-convert"); err != nil {
		return sum, err
	}
	var env []string
	if b.prepare != nil {
		if env, err = b.prepare(ctx, dir); err != nil {
			return sum, err
		}
	}
	words := slices.Concat(b.runner, []string{"./" + program, model, "--quantize", "int8", "--calibrate", samples, "-o", out})
	if err := command(ctx, dir, env, words...); err != nil {
		return sum, err
	}
	file, err := os.ReadFile(filepath.Join(dir, out))
	if err != nil {
		return sum, err
	}
	return sha256.Sum256(file), os.Remove(filepath.Join(dir, out))
}

// command runs a program; its error ends with what it said last.
func command(ctx context.Context, dir string, env []string, words ...string) error {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w: %s", words[0], err, lines[len(lines)-1])
	}
	return nil
}

// javascript lays beside the program what runs it in node.
func javascript(ctx context.Context, dir string) ([]string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"wasm_exec.js", "wasm_exec_node.js"} {
		b, err := os.ReadFile(filepath.Join(string(bytes.TrimSpace(root)), "lib", "wasm", name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

//go:embed testdata/bcryptprimitives.c
var bcryptprimitives []byte

// wine makes a Windows of its own, with the library that is missing beside the program.
func wine(ctx context.Context, dir string) ([]string, error) {
	env := []string{"WINEPREFIX=" + filepath.Join(dir, "wine"), "WINEDEBUG=-all"}
	if err := os.WriteFile(filepath.Join(dir, "bcryptprimitives.c"), bcryptprimitives, 0o644); err != nil {
		return nil, err
	}
	const compiler = "x86_64-w64-mingw32-gcc"
	if _, err := exec.LookPath(compiler); err != nil {
		return env, nil // a later wine has the library
	}
	if err := command(ctx, dir, env, "wineboot", "--init"); err != nil {
		return nil, err
	}
	library := filepath.Join(dir, "wine", "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if _, err := os.Stat(library); err == nil {
		return env, nil
	}
	return env, command(ctx, dir, nil, compiler, "-shared", "-o", library, "bcryptprimitives.c", "-ladvapi32")
}
