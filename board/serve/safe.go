package serve

import (
	"context"
	"time"
)

// Settle waits for that time and then notes in the store that the daemon stays
// up, with the versions that it serves. It is called when the models are loaded.
func (s *Server) Settle(ctx context.Context, after time.Duration) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(after):
	}
	if err := s.cfg.Store.Stable(s.serving()); err != nil {
		s.cfg.Log.Warn("it could not be noted that the daemon stays up", "error", err)
	}
}

// serving returns the version of each model that serves.
func (s *Server) serving() map[string]string {
	versions := map[string]string{}
	for _, e := range s.repo.entries() {
		e.mu.Lock()
		if e.live != nil {
			versions[e.name] = e.live.version
		}
		e.mu.Unlock()
	}
	return versions
}
