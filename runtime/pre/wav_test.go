package pre

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// riff builds a WAVE file with a chunk that readers must skip.
func riff(tag, channels, rate, bits int, data ...byte) []byte {
	le := binary.LittleEndian
	b := []byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00")
	b = le.AppendUint16(b, uint16(tag))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*bits/8))
	b = le.AppendUint16(b, uint16(channels*bits/8))
	b = le.AppendUint16(b, uint16(bits))
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func TestReadWAV(t *testing.T) {
	f32 := binary.LittleEndian.AppendUint32(nil, math.Float32bits(0.25))
	f64 := binary.LittleEndian.AppendUint64(nil, math.Float64bits(-0.25))
	tests := []struct {
		name string
		file []byte
		want []float32
	}{
		{"8 bits", riff(1, 1, 8000, 8, 0, 128, 255), []float32{-1, 0, 127. / 128}},
		{"16 bits", riff(1, 1, 8000, 16, 0, 128, 0, 64), []float32{-1, 0.5}},
		{"24 bits", riff(1, 1, 8000, 24, 0, 0, 128, 0, 0, 64), []float32{-1, 0.5}},
		{"32 bits", riff(1, 1, 8000, 32, 0, 0, 0, 192), []float32{-0.5}},
		{"float32", riff(3, 1, 8000, 32, f32...), []float32{0.25}},
		{"float64", riff(3, 1, 8000, 64, f64...), []float32{-0.25}},
		{"half a sample at the end", riff(1, 2, 8000, 16, 0, 64, 0, 192, 1), []float32{0.5, -0.5}},
	}
	for _, tt := range tests {
		a, err := ReadWAV(bytes.NewReader(tt.file))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, _ := a.Float32s()
		if a.Rate != 8000 || len(got) != len(tt.want) {
			t.Errorf("%s: rate %d, %v", tt.name, a.Rate, got)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: sample %d is %v, want %v", tt.name, i, got[i], tt.want[i])
			}
		}
	}
}

func TestReadWAVRefuses(t *testing.T) {
	for want, file := range map[string][]byte{
		"not a RIFF":     []byte("RIFX\x00\x00\x00\x00WAVE"),
		"no data chunk":  riff(1, 1, 8000, 16)[:48],
		"are not read":   riff(2, 1, 8000, 4, 1, 2, 3),
		"0 Hz":           riff(1, 1, 0, 16, 1, 2),
		"format chunk":   []byte("RIFF\x00\x00\x00\x00WAVEfmt \x00\x00\x00\x01"),
		"before the dat": []byte("RIFF\x00\x00\x00\x00WAVEdata\x02\x00\x00\x00\x00\x00"),
	} {
		if _, err := ReadWAV(bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(riff(1, 2, 8000, 16, 0, 64, 0, 192))
	f.Add(riff(3, 1, 44100, 64, 0, 0, 0, 0, 0, 0, 0, 0))
	f.Add(riff(1, 1, 16000, 24, 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ReadWAV(bytes.NewReader(b))
		if err == nil && (len(a.Shape) != 2 || len(a.Data) != 4*a.Elems() || len(a.Data) > 4*len(b)) {
			t.Fatalf("shape %v with %d bytes of a file of %d", a.Shape, len(a.Data), len(b))
		}
	})
}
