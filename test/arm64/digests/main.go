// Digests shows that every model computes the same bits, and the demo's training job learns
// the same, in portable Go, with the kernels of this machine and with those of arm64.
//
//	go run ./test/arm64/digests [--filter TEXT] MATERIAL
//
// MATERIAL is a folder of models (.tflite, .onnx, .h5, .keras, .safetensors). Each is run on
// fixed random inputs here in portable Go and at the best level, and under QEMU as the cores
// of the boards: a Raspberry Pi 3 (neon, in the order of the Cortex-A53), 4 (neon), 5
// (dotprod) and one with i8mm. The exit status is 1 if a model does not
// run, or its outputs differ anywhere. Needs Debian's qemu-user-static; two minutes.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const qemu = "qemu-aarch64-static"

func main() {
	filter := flag.String("filter", "", "only models whose path contains this; demo for the demo alone")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: digests [--filter TEXT] MATERIAL")
		os.Exit(2)
	}
	if err := run(os.Stdout, flag.Arg(0), *filter); err != nil {
		fmt.Fprintln(os.Stderr, "digests:", err)
		os.Exit(1)
	}
}

// A leg is one way to run all models.
type leg struct {
	name string
	args []string // the program is among them
}

func run(w io.Writer, material, filter string) error {
	if _, err := exec.LookPath(qemu); err != nil {
		return fmt.Errorf("%s is not installed (Debian: qemu-user-static)", qemu)
	}
	dir, err := os.MkdirTemp("", "digests")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host, arm := filepath.Join(dir, "host"), filepath.Join(dir, "arm64")
	if err := build(host, ""); err != nil {
		return err
	}
	if err := build(arm, "GOARCH=arm64"); err != nil {
		return err
	}
	// QEMU opens a file of the folder that it is given by -L before the machine's own: from
	// this one the program learns that it is on a Cortex-A53.
	pi3 := filepath.Join(dir, "pi3")
	if err := os.MkdirAll(filepath.Join(pi3, "proc"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(pi3, "proc/cpuinfo"), []byte("CPU implementer\t: 0x41\nCPU part\t: 0xd03\n"), 0o644); err != nil {
		return err
	}
	var want map[string]string
	var failed error
	for _, l := range []leg{
		{"portable Go, here", []string{host, "--isa", "generic"}},
		{"the best level, here", []string{host}},
		{"arm64 as cortex-a53", []string{qemu, "-cpu", "cortex-a53", "-L", pi3, arm, "--isa", "neon"}},
		{"arm64 as cortex-a72", []string{qemu, "-cpu", "cortex-a72", arm, "--isa", "neon"}},
		{"arm64 as cortex-a76", []string{qemu, "-cpu", "cortex-a76", arm, "--isa", "dotprod"}},
		{"arm64 as max", []string{qemu, "-cpu", "max", arm, "--isa", "i8mm"}},
	} {
		start := time.Now()
		cmd := exec.Command(l.args[0], append(l.args[1:], "--filter", filter, material)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", l.name, err, bytes.TrimSpace(stderr.Bytes()))
		}
		got := parse(string(out))
		if want == nil {
			want = got
			if printAll(w, string(out)) > 0 {
				failed = errors.New("not all models ran")
			}
		}
		bad := differences(want, got)
		fmt.Fprintf(w, "%s: %d of %d the same (%.0f s)\n", l.name, len(want)-len(bad), len(want), time.Since(start).Seconds())
		for _, name := range bad {
			fmt.Fprintf(w, "  DIFFERS: %s: %s\n", name, got[name])
			failed = errors.New("not all bits are the same")
		}
	}
	return failed
}

// build builds the guest.
func build(program, env string) error {
	cmd := exec.Command("go", "build", "-o", program, "github.com/whet-edge/whet/test/arm64/digests/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// parse reads the lines of a guest: hash, tab, name.
func parse(out string) map[string]string {
	of := map[string]string{}
	for line := range strings.Lines(out) {
		if hash, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			of[name] = hash
		}
	}
	return of
}

// differences returns the names whose hashes differ or that only one side has, in order.
func differences(want, got map[string]string) []string {
	var bad []string
	for name := range want {
		if got[name] != want[name] {
			bad = append(bad, name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			bad = append(bad, name)
		}
	}
	slices.Sort(bad)
	return bad
}

// printAll prints the first leg's lines, hashes cut short, and returns how many have none.
func printAll(w io.Writer, out string) int {
	none := 0
	for line := range strings.Lines(out) {
		hash, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if len(hash) == 64 {
			hash = hash[:16]
		} else {
			none++
		}
		fmt.Fprintf(w, "%s  %s\n", hash, name)
	}
	return none
}
