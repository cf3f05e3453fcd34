//go:build !unix

package bounded

import "time"

var began = time.Now()

// processTime returns the time since the process began, where its own is not known.
func processTime() time.Duration { return time.Since(began) }
