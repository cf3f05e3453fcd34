package ondevice

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// A job has two files, which take turns: each is one checkpoint, replaced atomically
// (temporary file, fsync, rename, fsync of the folder), so that after a power cut it
// is either the old or the new one. Two, because a disk may lose what it was told to
// flush: a file whose checksum is wrong costs one checkpoint, not the job.
//
//	"WHETJOB2", u64 generation, plan[32], rows[32],
//	u32 phase, u32 stage, u32 epoch, u32 position, u32 steps, u32 diverged,
//	4 x u64 generator at the epoch's begin, f64 loss sum, u32 samples seen,
//	u32 best epoch, f64 best accuracy, f64 best loss,
//	u32 vectors, {u32 length, f32s} of each (weights, best weights, optimizer state),
//	u32 epochs, {f64 loss, f64 validation loss, f64 validation accuracy} of each,
//	u32 judged samples, f64 their loss, u32 classes, the confusion matrix as u32,
//	u32 CRC-32C of all before it
//
// with little-endian numbers.
const jobMagic = "WHETJOB2"

// ErrJob is wrapped by the errors about a job's file that cannot be continued.
var ErrJob = errors.New("ondevice: job cannot be continued")

// The phases of a job.
const (
	phaseNew uint32 = iota
	phaseTraining
	phaseDone
)

// checkpoint is everything that decides the bits of the rest of a job.
type checkpoint struct {
	generation uint64
	plan       [sha256.Size]byte // TunePlan.id
	rows       [sha256.Size]byte // of all features, labels and the split

	phase                  uint32
	stage                  uint32 // heads trained before this one, when there are folds
	epoch, pos, steps      uint32
	diverged               uint32
	rng                    [4]uint64
	lossSum                float64
	seen                   uint32
	bestEpoch              uint32
	bestAccuracy, bestLoss float64
	vectors                [][]float32
	curve                  []Epoch
	judged                 *Metrics // of the stages before; nil: none
}

// nextStage forgets all that belongs to one head.
func (c *checkpoint) nextStage() {
	*c = checkpoint{
		generation: c.generation, plan: c.plan, rows: c.rows, stage: c.stage + 1, diverged: c.diverged, judged: c.judged,
	}
}

// checkpointBytes bounds the size of a checkpoint of the plan's job.
func (p *TunePlan) checkpointBytes() int64 {
	return 512 + int64(p.Params)*4*4 + 24*int64(p.opt.Epochs+1) + 4*int64(len(p.Classes))*int64(len(p.Classes))
}

func (c *checkpoint) encode() []byte {
	le := binary.LittleEndian
	b := append([]byte(nil), jobMagic...)
	b = le.AppendUint64(b, c.generation)
	b = append(b, c.plan[:]...)
	b = append(b, c.rows[:]...)
	for _, v := range []uint32{c.phase, c.stage, c.epoch, c.pos, c.steps, c.diverged} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range c.rng {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint64(b, math.Float64bits(c.lossSum))
	b = le.AppendUint32(b, c.seen)
	b = le.AppendUint32(b, c.bestEpoch)
	b = le.AppendUint64(b, math.Float64bits(c.bestAccuracy))
	b = le.AppendUint64(b, math.Float64bits(c.bestLoss))
	b = le.AppendUint32(b, uint32(len(c.vectors)))
	for _, v := range c.vectors {
		b = le.AppendUint32(b, uint32(len(v)))
		b = append(b, floatBytes(v)...)
	}
	b = le.AppendUint32(b, uint32(len(c.curve)))
	for _, e := range c.curve {
		for _, v := range []float64{e.Loss, e.ValLoss, e.ValAccuracy} {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	}
	m := c.judged
	if m == nil {
		m = newMetrics(0)
	}
	b = le.AppendUint32(b, uint32(m.Samples))
	b = le.AppendUint64(b, math.Float64bits(m.Loss))
	b = le.AppendUint32(b, uint32(len(m.Confusion)))
	for _, row := range m.Confusion {
		for _, n := range row {
			b = le.AppendUint32(b, uint32(n))
		}
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func badCheckpoint(what string) error {
	return fmt.Errorf("%w: its file %s; remove it to start anew", ErrJob, what)
}

// checkpointHead checks that b is whole and returns what it begins with.
func checkpointHead(b []byte) (generation uint64, plan [sha256.Size]byte, err error) {
	if len(b) < len(jobMagic)+4 || !bytes.HasPrefix(b, []byte(jobMagic)) {
		return 0, plan, badCheckpoint("does not begin with " + jobMagic)
	}
	body, crc := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != crc {
		return 0, plan, badCheckpoint("has a wrong checksum")
	}
	r := reader{b: body[len(jobMagic):]}
	generation, plan = r.u64(), [sha256.Size]byte(r.bytes(sha256.Size))
	if r.bad {
		return 0, plan, badCheckpoint("makes no sense")
	}
	return generation, plan, nil
}

func decodeCheckpoint(b []byte) (*checkpoint, error) {
	bad := func(what string) (*checkpoint, error) { return nil, badCheckpoint(what) }
	generation, plan, err := checkpointHead(b)
	if err != nil {
		return nil, err
	}
	r := reader{b: b[len(jobMagic)+8+sha256.Size : len(b)-4]}
	c := &checkpoint{generation: generation, plan: plan, rows: [32]byte(r.bytes(32))}
	for _, p := range []*uint32{&c.phase, &c.stage, &c.epoch, &c.pos, &c.steps, &c.diverged} {
		*p = r.u32()
	}
	for i := range c.rng {
		c.rng[i] = r.u64()
	}
	c.lossSum = r.f64()
	c.seen = r.u32()
	c.bestEpoch = r.u32()
	c.bestAccuracy = r.f64()
	c.bestLoss = r.f64()
	vectors := int(r.u32())
	if r.bad || vectors > 4 {
		return bad("makes no sense")
	}
	for range vectors {
		v := make([]float32, r.count(4))
		for i := range v {
			v[i] = math.Float32frombits(r.u32())
		}
		c.vectors = append(c.vectors, v)
	}
	for range r.count(24) {
		c.curve = append(c.curve, Epoch{r.f64(), r.f64(), r.f64()})
	}
	samples, loss, classes := int(r.u32()), r.f64(), int(r.u32())
	if r.bad || classes > 1<<15 || classes*classes > len(r.b)/4 {
		return bad("makes no sense")
	}
	if classes > 0 {
		c.judged = newMetrics(classes)
		for i := range c.judged.Confusion {
			for k := range c.judged.Confusion[i] {
				n := int(r.u32())
				c.judged.Confusion[i][k] = n
				c.judged.Count[i] += n
			}
		}
		c.judged.Samples, c.judged.Loss = samples, loss
	}
	if r.bad || len(r.b) != 0 || c.phase > phaseDone {
		return bad("makes no sense")
	}
	return c, nil
}

func (r *reader) f64() float64 { return math.Float64frombits(r.u64()) }
