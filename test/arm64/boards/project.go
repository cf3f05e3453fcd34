package main

import (
	"cmp"
	"slices"

	"github.com/whet-edge/whet/test/arm64/model"
)

// measured is the share of the executed instructions whose blocks are given to
// package model; the others, hundreds of blocks that hardly run, get the average.
const measured = 0.995

// A cost is a block with what the core takes for it.
type cost struct {
	block
	cycles float64 // of all its runs, at work in the first cache
}

// costs returns the costliest blocks first, and what all of them take on a core whose
// loads hit the first cache.
func costs(core string, blocks []block) ([]cost, float64, error) {
	work := func(b block) int64 { return b.count * int64(len(b.words)) }
	var all int64
	for _, b := range blocks {
		all += work(b)
	}
	blocks = slices.Clone(blocks)
	slices.SortFunc(blocks, func(a, b block) int { return cmp.Compare(work(b), work(a)) })
	var covered int64
	var code [][]uint32
	for _, b := range blocks {
		if float64(covered) > measured*float64(all) {
			break
		}
		covered += work(b)
		code = append(code, b.words)
	}
	of, err := model.Analyze(core, code)
	if err != nil {
		return nil, 0, err
	}
	list := make([]cost, len(of))
	var sum float64
	for i, c := range of {
		list[i] = cost{blocks[i], c.Cycles * float64(blocks[i].count)}
		sum += list[i].cycles
	}
	slices.SortFunc(list, func(a, b cost) int { return cmp.Compare(b.cycles, a.cycles) })
	return list, sum * float64(all) / float64(covered), nil
}

// A projection is what a board takes for one run.
type projection struct {
	instructions int64
	cycles       float64   // with all data in the first cache
	moved        []float64 // bytes that came out of each further cache, then out of memory
}

// project adds up a trace.
func project(b *board, t *trace) (projection, []cost, error) {
	hot, cycles, err := costs(b.core, t.blocks)
	if err != nil {
		return projection{}, nil, err
	}
	p := projection{instructions: t.instructions(), cycles: cycles}
	for _, c := range t.caches {
		p.moved = append(p.moved, 64*float64(c.fetched+c.written))
	}
	return p, hot, nil
}

// milliseconds is the time of one run on a board at a clock. The three parts are added:
// the cycles of the core, which the threads share evenly; the bytes that cross each
// cache's edge, at the rate of that cache; the bytes that memory moves, at its rate,
// which more threads do not raise. No part hides behind another, and handing work to
// threads costs nothing.
func (p projection) milliseconds(b *board, ghz float64, threads int) float64 {
	ns := p.cycles / ghz / float64(threads)
	for i, bytes := range p.moved {
		if i+1 == len(b.caches) {
			ns += bytes / b.dram
			break
		}
		rate := b.caches[i+1].rate * ghz
		if !b.caches[i+1].shared {
			rate *= float64(threads)
		}
		ns += bytes / rate
	}
	return ns / 1e6
}
