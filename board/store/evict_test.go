package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

// What is deleted to make room is the oldest of the label that has most, and
// what is acknowledged always fits the quota.
func TestEvict(t *testing.T) {
	s := open(t, vfs.NewMem(), Options{Quota: 64 << 10, SegmentBytes: 8 << 10, Ballast: 1, Evict: true})
	evicted := 0
	s.OnEvict(func(n int) { evicted += n })
	rare := []uint64{add(t, s, "m", "rare", strings.Repeat("r", 1000)), add(t, s, "other", "rare", strings.Repeat("o", 1000))}
	const n = 200
	var usual []uint64
	for i := range n {
		usual = append(usual, add(t, s, "m", "usual", strings.Repeat(fmt.Sprint(i%10), 1000)))
		if b := s.Bytes(); b > 64<<10 {
			t.Fatalf("%d bytes after %d samples", b, i)
		}
	}
	for _, id := range rare {
		if _, err := s.Get(id); err != nil {
			t.Errorf("the rare sample: %v", err)
		}
	}
	kept := s.Counts("m").Labels["usual"]
	if kept+evicted != n || kept < 40 {
		t.Errorf("%d kept, %d evicted of %d", kept, evicted, n)
	}
	for i, info := range s.List("m", rare[1], n) {
		if info.ID != usual[evicted+i] {
			t.Fatalf("sample %d is kept, not %d", info.ID, usual[evicted+i])
		}
	}
	if _, err := s.Add(Sample{Model: "m", Label: "huge", Data: make([]byte, 40<<10)}); err == nil || s.Counts("m").Labels["usual"] != kept {
		t.Errorf("a sample of more than half of the quota: %v, %d kept", err, s.Counts("m").Labels["usual"])
	}
}
