package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		n, total int
		took     time.Duration
		want     string
	}{
		{0, 4, 0, "tuning [                              ] 0/4"},
		{1, 4, 10 * time.Second, "tuning [=======                       ] 1/4 30s left"},
		{4, 4, time.Minute, "tuning [==============================] 4/4"},
		{9, 4, time.Minute, "tuning [==============================] 4/4"},
		{2_000_000_000, 2_147_483_647, 0, "tuning [===========================   ] 2000000000/2147483647 0s left"},
		{3, -1, time.Minute, "tuning ..."},
	} {
		if got := progressLine("tuning", c.n, c.total, c.took); got != c.want {
			t.Errorf("%d of %d:\n%s\n%s", c.n, c.total, got, c.want)
		}
	}
}

// A bar is drawn in one line, seldom, always at its end, and leaves nothing.
func TestProgressDraws(t *testing.T) {
	var out strings.Builder
	p := &progress{w: &out, what: "reading", total: 1000, begun: time.Now()}
	for n := range 1001 {
		p.set(n)
	}
	p.done()
	p.set(5)
	lines := strings.Split(out.String(), clearLine)
	if n := len(lines); n > 200 || !strings.Contains(lines[n-2], "1000/1000") || lines[n-1] != "" || strings.Contains(out.String(), "\n") {
		t.Errorf("%d lines, %q", n, lines[max(0, n-3):])
	}
}
