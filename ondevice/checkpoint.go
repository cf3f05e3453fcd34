package ondevice

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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

// write writes the checkpoint as a file.
func (c *checkpoint) write(to io.Writer) error {
	s := &stream{to: to}
	s.bytes([]byte(jobMagic))
	c.passHead(s)
	c.pass(s, nil)
	return s.finish()
}

func badCheckpoint(what string) error {
	return fmt.Errorf("%w: its file %s; remove it to start anew", ErrJob, what)
}

// openCheckpoint checks that a file is a whole checkpoint and reads what it begins with.
func openCheckpoint(file io.ReaderAt, size int64) (*checkpoint, *stream, error) {
	s, sound := openStream(file, size)
	magic := [len(jobMagic)]byte{}
	if s.bytes(magic[:]); string(magic[:]) != jobMagic {
		return nil, nil, badCheckpoint("does not begin with " + jobMagic)
	}
	if !sound {
		return nil, nil, badCheckpoint("has a wrong checksum")
	}
	c := &checkpoint{}
	c.passHead(s)
	return c, s, nil
}

// readCheckpoint reads a file but for its vectors: vector says where number i, of n
// values, goes, which may be nil.
func readCheckpoint(file io.ReaderAt, size int64, vector func(i, n int) []float32) (*checkpoint, error) {
	c, s, err := openCheckpoint(file, size)
	if err != nil {
		return nil, err
	}
	if c.pass(s, vector); s.bad || s.left != 0 || c.phase > phaseDone {
		return nil, badCheckpoint("makes no sense")
	}
	return c, nil
}

func (c *checkpoint) passHead(s *stream) {
	s.u64(&c.generation)
	s.bytes(c.plan[:])
}

// pass writes what follows the head, or makes it what a file says.
func (c *checkpoint) pass(s *stream, vector func(i, n int) []float32) {
	in := s.to == nil
	s.bytes(c.rows[:])
	for _, v := range []*uint32{&c.phase, &c.stage, &c.epoch, &c.pos, &c.steps, &c.diverged} {
		s.u32(v)
	}
	for i := range c.rng {
		s.u64(&c.rng[i])
	}
	s.f64(&c.lossSum)
	s.u32(&c.seen)
	s.u32(&c.bestEpoch)
	s.f64(&c.bestAccuracy)
	s.f64(&c.bestLoss)
	for i := range s.count(len(c.vectors), 4) {
		var v []float32
		if !in {
			v = c.vectors[i]
		}
		n := s.count(len(v), 4)
		if in {
			v = vector(i, n)
		}
		if v == nil {
			s.skip(4 * int64(n))
		}
		s.floats(v)
	}
	n := s.count(len(c.curve), 24)
	if in {
		c.curve = make([]Epoch, n)
	}
	for i := range c.curve {
		e := &c.curve[i]
		for _, v := range []*float64{&e.Loss, &e.ValLoss, &e.ValAccuracy} {
			s.f64(v)
		}
	}
	m := c.judged
	if m == nil {
		m = newMetrics(0)
	}
	samples := uint32(m.Samples)
	s.u32(&samples)
	s.f64(&m.Loss)
	classes := s.count(len(m.Confusion), 4)
	if in && classes > 0 {
		if int64(classes) > s.left/4/int64(classes) {
			s.spoil()
			return
		}
		c.judged = newMetrics(classes)
		c.judged.Samples, c.judged.Loss = int(samples), m.Loss
		m = c.judged
	}
	for i, row := range m.Confusion {
		for k := range row {
			v := uint32(row[k])
			s.u32(&v)
			if in {
				row[k] = int(v)
				m.Count[i] += int(v)
			}
		}
	}
}
