package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"sync"
)

// counters are the highest numbers of signed files that were accepted, so that
// an older file is not taken for a new one.
type counters struct {
	mu   sync.Mutex
	seen map[string]uint64
}

const countersName = "counters"

func (s *Store) openCounters() {
	name := s.path(countersName)
	b, err := readFile(s.fsys, name, maxManifest)
	line, body, _ := bytes.Cut(b, []byte("\n"))
	switch {
	case notExist(err):
	case err != nil:
		s.rec.Damaged = append(s.rec.Damaged, err.Error())
	case string(line) != countersLine(body) || json.Unmarshal(body, &s.counters.seen) != nil:
		s.rec.Damaged = append(s.rec.Damaged, name+": checksum mismatch")
	}
}

func countersLine(body []byte) string {
	return fmt.Sprintf("whet counters 1 crc32c %08x", crc32.Checksum(body, castagnoli))
}

// Counter returns the highest number that was accepted of what is called that.
func (s *Store) Counter(what string) uint64 {
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	return s.counters.seen[what]
}

// Accept makes a number durable: below it nothing is accepted any more.
func (s *Store) Accept(what string, number uint64) error {
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	if s.counters.seen[what] >= number {
		return nil
	}
	seen := maps.Clone(s.counters.seen)
	if seen == nil {
		seen = map[string]uint64{}
	}
	seen[what] = number
	body, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := writeFile(s.fsys, s.path(countersName), append([]byte(countersLine(body)+"\n"), body...)); err != nil {
		return err
	}
	s.counters.seen = seen
	return nil
}
