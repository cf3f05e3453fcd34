package convert

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
)

// materialDir returns the folder of real models, or skips the test.
func materialDir(t *testing.T) string {
	dir := os.Getenv("WHET_MATERIAL")
	if dir == "" {
		t.Skip("NOT RUN: set WHET_MATERIAL to a folder with real models")
	}
	return dir
}

// TestStories generates with a small Llama what numpy generates in float64.
func TestStories(t *testing.T) {
	dir := filepath.Join(materialDir(t), "transformers", "stories260K")
	m, err := Import(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "reference_greedy.json"))
	if err != nil {
		t.Fatal(err)
	}
	var texts []struct {
		Prompt []int32   `json:"prompt_ids"`
		IDs    []int32   `json:"ids"`
		Logits []float64 `json:"last_logits_first8"`
	}
	if err := json.Unmarshal(b, &texts); err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		s := p.NewSession()
		ids := slices.Clone(text.Prompt)
		var first []float32 // logits behind the prompt
		for i := 0; i < len(text.IDs)-1; i++ {
			s.Input(0).Int32()[0] = ids[i]
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			logits := s.Output(0).Float32()
			if i == len(text.Prompt)-1 {
				first = slices.Clone(logits)
			}
			if i == len(ids)-1 {
				ids = append(ids, int32(slices.Index(logits, slices.Max(logits))))
			}
		}
		if !slices.Equal(ids, text.IDs) {
			t.Errorf("ids %v, want %v", ids, text.IDs)
		}
		for i, want := range text.Logits {
			if d := math.Abs(float64(first[i]) - want); d > 1e-4*math.Abs(want) {
				t.Errorf("logit %d is %v, want %v", i, first[i], want)
			}
		}
	}
}

// TestSilero runs a minute of sound frame by frame through Silero's voice activity
// detector: that of its plain weights, which remembers, and the ONNX model, whose
// state and past samples are handed from run to run. They are not the same
// training: each has vectors of its own.
func TestSilero(t *testing.T) {
	dir := filepath.Join(materialDir(t), "silero-vad")
	sound, err := pre.ReadFile(filepath.Join(dir, "test.wav"))
	if err != nil {
		t.Fatal(err)
	}
	samples, err := sound.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	const frame, past = 512, 64
	for _, tt := range []struct {
		file, golden string
		speech       int
		opts         []Option
	}{
		{"silero_vad_16k.safetensors", testdata("silero_prob.npy"), 1464, nil},
		{"silero_vad_16k_op15.onnx", filepath.Join(dir, "..", "golden", "silero-vad", "silero_vad_16k_op15.onnx", "testwav_prob.npy"), 1452,
			[]Option{WithDim("sequence", frame+past), WithConst("sr", 16000)}},
	} {
		m, err := Import(filepath.Join(dir, tt.file), tt.opts...)
		if err != nil {
			t.Error(err)
			continue
		}
		p, err := runtime.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		want := floatsOf(t, tt.golden)
		s := p.NewSession()
		in := s.Input(0).Float32()
		speech, worst := 0, 0.0
		for i, w := range want {
			copy(in, in[frame:]) // the end of the frame before, if the input has room for it
			copy(in[len(in)-frame:], samples[i*frame:])
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			got := s.Output(0).Float32()[0]
			if len(p.Inputs()) > 1 {
				copy(s.Input(1).Bytes(), s.Output(1).Bytes())
			}
			if got > 0.5 {
				speech++
			}
			worst = max(worst, math.Abs(float64(got-w))/max(float64(w), 1e-2))
		}
		t.Logf("%s: %d frames, %d of speech, worst relative error %.2g", tt.file, len(want), speech, worst)
		if len(want) != 1875 || speech != tt.speech || worst > 1e-4 {
			t.Errorf("%s: %d frames, %d of speech, worst relative error %.2g", tt.file, len(want), speech, worst)
		}
	}
}

func floatsOf(t *testing.T, path string) []float32 {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := pre.ReadNPY(f)
	if err != nil {
		t.Fatal(err)
	}
	v, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
