package senses

import (
	"encoding/binary"
	"time"
)

// A window cuts a stream of mono 16-bit samples into stretches that overlap.
type window struct {
	source    string
	rate      int
	size, hop int // bytes
	buf       []byte
	seq       uint64
}

func newWindow(source string, o options) *window {
	bytes := func(d time.Duration) int { return 2 * max(1, int(int64(o.rate)*int64(d)/int64(time.Second))) }
	return &window{source: source, rate: o.rate, size: bytes(o.window), hop: bytes(min(o.hop, o.window))}
}

// feed takes more samples, of any number of bytes, and gives a frame for each
// window that they fill.
func (w *window) feed(b []byte, give func(Frame)) {
	w.buf = append(w.buf, b...)
	for len(w.buf) >= w.size {
		w.seq++
		give(Frame{Source: w.source, Seq: w.seq, Time: time.Now(), Media: "audio/wav", Data: wav(w.buf[:w.size], w.rate)})
		w.buf = append(w.buf[:0], w.buf[w.hop:]...)
	}
}

// wav returns mono 16-bit samples as a RIFF WAVE file.
func wav(samples []byte, rate int) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, 44+len(samples))
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(36+len(samples)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 1) // channels
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(2*rate)) // bytes a second
	b = le.AppendUint16(b, 2)              // bytes of a sample of all channels
	b = le.AppendUint16(b, 16)             // bits of a sample
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(samples)))
	return append(b, samples...)
}
