package store

import "errors"

// evictShare is the part of the quota that is made free at once: files are
// rewritten then, which is not to happen for every sample.
const evictShare = 16

// room reserves bytes of the quota for an append, and makes room for them if
// the store may.
func (s *Store) room(cost int64) error {
	err := s.reserve(cost)
	if !errors.Is(err, ErrQuota) || !s.opt.Evict || cost > s.opt.Quota/2 {
		return err
	}
	s.evicting.Lock()
	defer s.evicting.Unlock()
	if err := s.reserve(cost); !errors.Is(err, ErrQuota) {
		return err // another has made room
	}
	if err := s.evict(max(cost, s.opt.Quota/evictShare)); err != nil {
		return err
	}
	return s.reserve(cost)
}

// evict deletes samples of so many bytes, each time the oldest of the label of
// which there are most: a label of few samples keeps them.
func (s *Store) evict(bytes int64) error {
	victims := s.victims(bytes)
	n, err := s.delete(victims, true)
	if n > 0 && s.onEvict != nil {
		s.onEvict(n)
	}
	return err
}

func (s *Store) victims(bytes int64) (ids []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type class struct{ model, label string }
	left := map[class][]*info{}
	for name, m := range s.models {
		for _, i := range m.list {
			c := class{name, i.Label}
			left[c] = append(left[c], i)
		}
	}
	for bytes > 0 {
		var fullest class
		for c, list := range left {
			most := left[fullest]
			if len(list) > len(most) || len(list) == len(most) && len(list) > 0 && list[0].ID < most[0].ID {
				fullest = c
			}
		}
		list := left[fullest]
		if len(list) == 0 {
			break
		}
		ids, bytes = append(ids, list[0].ID), bytes-list[0].size
		left[fullest] = list[1:]
	}
	return ids
}
