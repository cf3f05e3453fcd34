package pre

import (
	"slices"
	"strconv"
)

// A Score is one class with its score.
type Score struct {
	Class int     `json:"class"`
	Label string  `json:"label"`
	Score float32 `json:"score"`
}

// TopK returns the k highest scores, highest first, equal ones by class. NaN
// sorts last. A class without a label is named by its number.
func TopK(scores []float32, labels []string, k int) []Score {
	out := make([]Score, len(scores))
	for i, s := range scores {
		out[i] = Score{i, Label(labels, i), s}
	}
	slices.SortStableFunc(out, func(a, b Score) int {
		switch {
		case a.Score > b.Score || (a.Score == a.Score && b.Score != b.Score):
			return -1
		case a.Score < b.Score || (a.Score != a.Score && b.Score == b.Score):
			return 1
		}
		return 0
	})
	return out[:min(max(k, 0), len(out))]
}

// Label returns the name of a class.
func Label(labels []string, class int) string {
	if class >= 0 && class < len(labels) && labels[class] != "" {
		return labels[class]
	}
	return strconv.Itoa(class)
}
