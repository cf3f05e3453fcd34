package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert"
)

// TestDamagedModels damages models at random and takes whatever still imports
// through compilation and a run: each step may refuse it, none may panic.
// WHET_MATERIAL adds real models, and a great many more tries.
func TestDamagedModels(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "tools", "convert", "testdata", "*.tflite"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	tries := 300
	if dir := os.Getenv("WHET_MATERIAL"); dir != "" {
		tries = 3000
		models, err := walk(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range models {
			if fi, err := os.Stat(m.path); err == nil && fi.Size() < 100<<10 {
				paths = append(paths, m.path)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "damaged.tflite")
	for _, path := range paths {
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reached := map[string]int{}
		for seed := range tries {
			rng := rand.New(rand.NewPCG(uint64(seed), 1))
			b := append([]byte(nil), sound...)
			for range 1 + rng.IntN(4) {
				damage(rng, b)
			}
			if err := os.WriteFile(file, b, 0o666); err != nil {
				t.Fatal(err)
			}
			stage, err := take(file)
			reached[stage]++
			if err != nil {
				t.Errorf("%s, seed %d: %s: %v", path, seed, stage, err)
			}
		}
		t.Logf("%s: %v", filepath.Base(path), reached)
	}
}

// damage changes one place: a bit, a byte, or an aligned word to a small number
// as most of a model's own are.
func damage(rng *rand.Rand, b []byte) {
	switch i := rng.IntN(len(b)); rng.IntN(3) {
	case 0:
		b[i] ^= 1 << rng.IntN(8)
	case 1:
		b[i] = byte(rng.Uint32())
	default:
		i &^= 3
		if i+4 <= len(b) {
			copy(b[i:], []byte{byte(rng.IntN(8)), 0, 0, 0})
		}
	}
}

// maxArena keeps a damaged shape from taking the test machine's memory.
const maxArena = 64 << 20

// take goes as far as it can with a file and says how far that was. Only a
// panic is an error.
func take(file string) (stage string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	stage = "import"
	m, err := convert.Import(file)
	if err != nil {
		return stage, nil
	}
	stage = "compile"
	p, err := runtime.Compile(m, runtime.WithThreads(1))
	if err != nil || p.ArenaBytes() > maxArena {
		return stage, nil
	}
	stage = "run"
	s := p.NewSession()
	defer s.Close()
	for range 2 {
		if err := s.Run(context.Background()); err != nil {
			return stage, nil
		}
	}
	return "done", nil
}
