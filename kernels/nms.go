package kernels

// An NMS chooses boxes by their scores: greedy non-maximum suppression of Boxes
// boxes in Batches pictures, by each of Classes alone.
type NMS struct {
	Batches, Classes, Boxes int
	Most                    int // boxes a batch and class
	Overlap, Score          float32
	Bounded                 bool // only scores above Score count
	Centered                bool // boxes are x, y, width, height; else two corners (y, x)
}

// Scratch is how many elements of scratch memory Run needs.
func (n *NMS) Scratch() int { return n.Boxes }

// Run writes batch, class and box of every one chosen to selected, which has room
// for min(Most, Boxes) of each batch and class, sets what is left of it to 0, and
// returns how many there are. boxes is [Batches, Boxes, 4], scores [Batches, Classes, Boxes].
func (n *NMS) Run(selected []int64, boxes, scores []float32, scratch []int32) int {
	count := 0
	for b := range n.Batches {
		for c := range n.Classes {
			s := scores[(b*n.Classes+c)*n.Boxes:][:n.Boxes]
			list := scratch[:0]
			for i, v := range s {
				if !n.Bounded || v > n.Score {
					list = append(list, int32(i))
				}
			}
			heapScores(list, s)
			first := count
			for len(list) > 0 && count-first < n.Most {
				i := int(list[0])
				list[0] = list[len(list)-1]
				list = list[:len(list)-1]
				siftScore(list, s, 0)
				if n.suppressed(selected[3*first:3*count], boxes[b*n.Boxes*4:], i) {
					continue
				}
				copy(selected[3*count:], []int64{int64(b), int64(c), int64(i)})
				count++
			}
		}
	}
	clear(selected[3*count:])
	return count
}

func (n *NMS) suppressed(chosen []int64, boxes []float32, i int) bool {
	for ; len(chosen) > 0; chosen = chosen[3:] {
		if n.overlap(boxes[4*chosen[2]:][:4], boxes[4*i:][:4]) > n.Overlap {
			return true
		}
	}
	return false
}

// corners returns the least and greatest coordinates of a box.
func (n *NMS) corners(b []float32) (y0, x0, y1, x1 float32) {
	if n.Centered {
		return b[1] - b[3]/2, b[0] - b[2]/2, b[1] + b[3]/2, b[0] + b[2]/2
	}
	return min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])
}

// overlap is the intersection over the union of two boxes.
func (n *NMS) overlap(a, b []float32) float32 {
	ay0, ax0, ay1, ax1 := n.corners(a)
	by0, bx0, by1, bx1 := n.corners(b)
	h, w := min(ay1, by1)-max(ay0, by0), min(ax1, bx1)-max(ax0, bx0)
	if !(h > 0 && w > 0) {
		return 0
	}
	inner := float32(h * w)
	return inner / (float32((ay1-ay0)*(ax1-ax0)) + float32((by1-by0)*(bx1-bx0)) - inner)
}

// heapScores orders list as a heap with the greatest score on top; of equal ones the
// lower number.
func heapScores(list []int32, s []float32) {
	for i := len(list)/2 - 1; i >= 0; i-- {
		siftScore(list, s, i)
	}
}

func siftScore(list []int32, s []float32, i int) {
	before := func(a, b int32) bool { return s[a] > s[b] || s[a] == s[b] && a < b }
	for {
		k := 2*i + 1
		if k >= len(list) {
			return
		}
		if k+1 < len(list) && before(list[k+1], list[k]) {
			k++
		}
		if !before(list[k], list[i]) {
			return
		}
		list[i], list[k] = list[k], list[i]
		i = k
	}
}
