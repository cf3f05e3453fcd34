package pre

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The forms of sound that ReadWAV takes (the format tags of Microsoft's
// mmreg.h). An extensible header names the real tag in its first two bytes of
// SubFormat.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavExtensible = 0xFFFE
)

// ReadWAV reads a RIFF WAVE file of 8, 16, 24 or 32-bit PCM or 32 or 64-bit
// floats to float32 [n,channels]; integers are scaled to [-1,1). A data chunk
// that is cut short, as recorders leave it when they are killed, is read as far
// as it goes.
func ReadWAV(r io.Reader) (*Array, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, errors.New("not a RIFF WAVE file")
	}
	le := binary.LittleEndian
	var tag, channels, rate, bits int
	for {
		var c [8]byte
		if _, err := io.ReadFull(r, c[:]); err != nil {
			return nil, errors.New("wav: no data chunk")
		}
		size := int64(le.Uint32(c[4:]))
		switch string(c[:4]) {
		case "fmt ":
			if size < 16 || size > 4096 {
				return nil, fmt.Errorf("wav: format chunk of %d bytes", size)
			}
			f := make([]byte, size+size&1)
			if _, err := io.ReadFull(r, f); err != nil {
				return nil, errors.New("wav: the file ends in its format chunk")
			}
			tag, channels = int(le.Uint16(f)), int(le.Uint16(f[2:]))
			rate, bits = int(le.Uint32(f[4:])), int(le.Uint16(f[14:]))
			if tag == wavExtensible && size >= 26 {
				tag = int(le.Uint16(f[24:]))
			}
		case "data":
			if channels == 0 {
				return nil, errors.New("wav: no format chunk before the data")
			}
			if channels > 64 || rate <= 0 {
				return nil, fmt.Errorf("wav: %d channels at %d Hz", channels, rate)
			}
			return readSamples(r, min(size, MaxBytes/4), tag, bits, channels, rate)
		default: // chunks are padded to even sizes
			if _, err := io.CopyN(io.Discard, r, size+size&1); err != nil {
				return nil, errors.New("wav: no data chunk")
			}
		}
	}
}

func readSamples(r io.Reader, size int64, tag, bits, channels, rate int) (*Array, error) {
	le := binary.LittleEndian
	var at func(b []byte) float32
	switch {
	case tag == wavPCM && bits == 8: // the only unsigned one
		at = func(b []byte) float32 { return (float32(b[0]) - 128) / (1 << 7) }
	case tag == wavPCM && bits == 16:
		at = func(b []byte) float32 { return float32(int16(le.Uint16(b))) / (1 << 15) }
	case tag == wavPCM && bits == 24:
		at = func(b []byte) float32 {
			return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
		}
	case tag == wavPCM && bits == 32:
		at = func(b []byte) float32 { return float32(int32(le.Uint32(b))) / (1 << 31) }
	case tag == wavFloat && bits == 32:
		at = func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }
	case tag == wavFloat && bits == 64:
		at = func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) }
	default:
		return nil, fmt.Errorf("wav: sounds of form %d with %d bits are not read; save as 16-bit PCM", tag, bits)
	}
	data, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return nil, err
	}
	step := bits / 8
	n := len(data) / (step * channels)
	v := make([]float32, n*channels)
	for i := range v {
		v[i] = at(data[i*step:])
	}
	a := floats(v, n, channels)
	a.Rate = rate
	return a, nil
}
