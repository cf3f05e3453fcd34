// Package events tells others what a model saw: it makes events of a stream of
// answers, keeps them on disk until they have arrived, and sends them to an MQTT
// broker, with what Home Assistant needs to show them, or to a web address.
package events

// An Event is a change of what a model sees.
type Event struct {
	ID      uint64  `json:"id"`   // ascending, never given twice by one outbox
	Time    int64   `json:"time"` // Unix milliseconds
	Model   string  `json:"model"`
	Version string  `json:"version,omitempty"`
	Source  string  `json:"source"`
	Label   string  `json:"label"` // "" when nothing is seen for sure any more
	Score   float64 `json:"score"`
	Was     string  `json:"was"` // the label before

	// Again says that the event may have arrived before: whoever counts must look
	// whether it knows the id.
	Again bool `json:"again,omitempty"`
}

// An Answer is what a model says of one frame.
type Answer struct {
	Label string
	Score float64 // 0 to 1
}

// A Judge makes events of answers. One picture in which a leaf looks like a cat is no
// cat: a label must be the answer to Need of the last Of frames with a score of Min.
type Judge struct {
	Min      float64
	Need, Of int

	last    []Answer
	current string
}

// Look takes the next answer. If it changes what is seen, changed is true, label is
// what is seen now, with the mean score of the answers that say so, and was what was
// seen before.
func (j *Judge) Look(a Answer) (label string, score float64, was string, changed bool) {
	if a.Score < j.Min {
		a.Label = ""
	}
	if j.last = append(j.last, a); len(j.last) > j.Of {
		j.last = j.last[1:]
	}
	n := 0
	for _, b := range j.last {
		if b.Label == a.Label {
			n++
			score += b.Score
		}
	}
	if n < j.Need || a.Label == j.current {
		return "", 0, "", false
	}
	was, j.current = j.current, a.Label
	return a.Label, score / float64(n), was, true
}
