//go:build race

package serve

// raceDetector says that the race detector watches. Its shadow of the memory does not
// fit into the limits that children get.
const raceDetector = true
