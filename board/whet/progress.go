package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// A progress shows how far a long work is, on standard error and only if that
// is a terminal; else it does nothing. It is drawn here because the library that
// whet-convert draws its bars with would add 190 KB to what a board holds.
type progress struct {
	w     io.Writer // nil: no terminal
	what  string
	total int // 0 or less: not known
	begun time.Time
	drawn time.Time
}

// progressEvery is how often the line is drawn anew: more is only flicker.
const progressEvery = 100 * time.Millisecond

func newProgress(cmd *cobra.Command, total int, what string) *progress {
	w := cmd.ErrOrStderr()
	if !isTerminal(w) {
		return &progress{}
	}
	p := &progress{w: w, what: what, total: total, begun: time.Now()}
	p.set(0)
	return p
}

// clearLine goes to the line's start and deletes to its end (ECMA-48, EL).
const clearLine = "\r\x1b[K"

// set shows that n of the total are done. A bar that cannot be drawn is no
// reason to stop the work.
func (p *progress) set(n int) {
	now := time.Now()
	if p.w == nil || n < p.total && now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	_, _ = io.WriteString(p.w, clearLine+progressLine(p.what, n, p.total, now.Sub(p.begun)))
}

// done clears the line.
func (p *progress) done() {
	if p.w != nil {
		_, _ = io.WriteString(p.w, clearLine)
		p.w = nil
	}
}

// progressLine is what is shown: name, bar, count and an estimate of what is
// left. Without a total there is only the name.
func progressLine(what string, n, total int, took time.Duration) string {
	if total <= 0 {
		return what + " ..."
	}
	const width = 30
	n = min(max(n, 0), total)
	full := int(int64(n) * width / int64(total))
	line := fmt.Sprintf("%s [%s%s] %d/%d", what, strings.Repeat("=", full), strings.Repeat(" ", width-full), n, total)
	if n > 0 && n < total {
		left := time.Duration(float64(took) / float64(n) * float64(total-n))
		line += fmt.Sprintf(" %v left", left.Round(time.Second))
	}
	return line
}
