package store

import (
	"slices"
	"strings"
	"sync"
)

// warmed are the keys of what has been seen to run, oldest first. Losing them
// costs time at the next start and nothing else.
type warmed struct {
	mu   sync.Mutex
	keys []string // nil until read
}

const (
	warmedName = "warmed"
	maxWarmed  = 64 // versions of all models
)

func (s *Store) readWarmed() {
	if s.warmed.keys == nil {
		b, err := readFile(s.fsys, s.path(warmedName), maxManifest)
		if err != nil {
			b = nil
		}
		s.warmed.keys = append(make([]string, 0, maxWarmed), strings.Fields(string(b))...)
	}
}

// Warmed reports whether [Store.SetWarmed] was told of the key.
func (s *Store) Warmed(key string) bool {
	s.warmed.mu.Lock()
	defer s.warmed.mu.Unlock()
	s.readWarmed()
	return slices.Contains(s.warmed.keys, key)
}

// SetWarmed notes that what the key stands for has been seen to run. Keys have
// no white space.
func (s *Store) SetWarmed(key string) error {
	s.warmed.mu.Lock()
	defer s.warmed.mu.Unlock()
	s.readWarmed()
	if slices.Contains(s.warmed.keys, key) {
		return nil
	}
	s.warmed.keys = append(s.warmed.keys, key)
	if n := len(s.warmed.keys); n > maxWarmed {
		s.warmed.keys = slices.Delete(s.warmed.keys, 0, n-maxWarmed)
	}
	return writeFile(s.fsys, s.path(warmedName), []byte(strings.Join(s.warmed.keys, "\n")))
}
