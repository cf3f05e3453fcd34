// Package embed checks what whet costs a program that embeds it: a module of
// its own that imports only runtime and ondevice.
package embed

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const program = `package main

import (
	"context"
	"fmt"
	"os"
	goruntime "runtime"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/runtime"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Println("goroutines", goruntime.NumGoroutine())
		return
	}
	m, err := format.Open(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	p, err := runtime.Compile(m)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s := p.NewSession()
	fmt.Println(s.Run(context.Background()), s.Output(0).Float32())
	plan, err := ondevice.Plan(m, nil, ondevice.Options{Tail: ondevice.Head})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	job, err := ondevice.Start(context.Background(), plan, "x.job")
	if err == nil {
		_, _, err = job.Wait(context.Background())
	}
	fmt.Println(err)
}
`

// budget is what a stripped arm64 program may weigh.
const budget = 4 << 20

func TestEmbedding(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	// The same requirements as whet's own, so that nothing is looked up.
	_, requires, _ := strings.Cut(string(mod), "\nrequire")
	write("main.go", program)
	write("go.sum", string(sum))
	write("go.mod", "module example.org/embed\n\ngo 1.26\n\nrequire github.com/whet-edge/whet v0.0.0\n\nreplace github.com/whet-edge/whet => "+root+"\n\nrequire"+requires)

	run := func(env []string, name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), append([]string{"CGO_ENABLED=0", "GOFLAGS=-mod=mod"}, env...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	arm := []string{"GOOS=linux", "GOARCH=arm64"}
	run(arm, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "arm", ".")
	fi, err := os.Stat(filepath.Join(dir, "arm"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("stripped arm64 program: %.2f MiB", float64(fi.Size())/(1<<20))
	if fi.Size() > budget {
		t.Errorf("the stripped arm64 program has %d bytes, more than %d", fi.Size(), budget)
	}

	core := map[string]bool{"github.com/whet-edge/whet": true, "github.com/vmihailenco/msgpack/v5": true, "github.com/vmihailenco/tagparser/v2": true,
		"github.com/klauspost/cpuid/v2": true, "golang.org/x/sys": true}
	for dep := range strings.FieldsSeq(run(arm, "go", "list", "-deps", "-f", "{{if .Module}}{{.Module.Path}}{{else}}{{.ImportPath}}{{end}}", ".")) {
		if dep == "net/http" || dep == "net" || dep == "log/slog" {
			t.Errorf("the program links %s", dep)
		}
		if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") && !core[dep] && dep != "example.org/embed" {
			t.Errorf("the program needs module %s", dep)
		}
	}
	if out := run(nil, "go", "run", "."); strings.TrimSpace(out) != "goroutines 1" {
		t.Errorf("after import: %q, want only the main goroutine", out)
	}
}
