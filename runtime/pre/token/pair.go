package token

import "fmt"

// A piece of a frame is a special token, or the place of a text.
type piece struct {
	text     int   // 1 or 2: the first or second text; 0: the token id
	id, kind int32 // kind is the type id of all that stands here
}

// frame reads what one or two texts stand in.
func (t *Tokenizer) frame(lines []string, texts int) ([]piece, error) {
	if len(lines) == 0 {
		lines = []string{"text", "text second=true type=1"}[:texts]
	}
	var out []piece
	seen := make([]int, 2)
	for _, line := range lines {
		st, err := parse(line)
		if err != nil {
			return nil, err
		}
		kind, err := st.number("type", 0)
		if err != nil || kind < 0 || kind > 1<<16 {
			return nil, fmt.Errorf("tokenizer: %q: its type is no small number", line)
		}
		p := piece{kind: int32(kind)}
		switch st.Op {
		case "text":
			if p.text = 1; st.Attrs["second"] == "true" {
				p.text = 2
			}
			seen[p.text-1]++
		case "token":
			if p.id, err = t.id(st); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("tokenizer: %q frames no text", st.Op)
		}
		out = append(out, p)
	}
	if seen[0] != 1 || seen[1] != texts-1 {
		return nil, fmt.Errorf("tokenizer: a frame of %d texts has %d places for the first and %d for the second", texts, seen[0], seen[1])
	}
	return out, nil
}

// EncodePair returns the ids of two texts, such as a question and an answer, between the
// special tokens that the model expects around them, and the type of each: which of the
// two it belongs to, as the model counts them.
func (t *Tokenizer) EncodePair(first, second string) (ids, types []int32) {
	return t.compose(t.pair, -1, first, second)
}

// EncodePairTo returns exactly length ids of two texts and their types. Where they do not
// fit, the longer text is cut until both are as long, then both. Behind them comes pad,
// of type 0; n is the number before it.
func (t *Tokenizer) EncodePairTo(first, second string, length int, pad int32) (ids, types []int32, n int) {
	ids, types = t.compose(t.pair, length, first, second)
	return padded(ids, length, pad), padded(types, length, 0), len(ids)
}

// compose puts texts into a frame, of at most length ids if that is not negative.
func (t *Tokenizer) compose(frame []piece, length int, texts ...string) (ids, types []int32) {
	var own [2][]int32
	for i, text := range texts {
		own[i] = t.EncodePlain(text)
	}
	if length >= 0 {
		a, b := longestFirst(len(own[0]), len(own[1]), max(length-len(frame)+len(texts), 0))
		own[0], own[1] = own[0][:a], own[1][:b]
	}
	ids = []int32{}
	for _, p := range frame {
		if p.text == 0 {
			ids = append(ids, p.id)
		} else {
			ids = append(ids, own[p.text-1]...)
		}
		for len(types) < len(ids) {
			types = append(types, p.kind)
		}
	}
	if length >= 0 && len(ids) > length {
		ids, types = ids[:length], types[:length]
	}
	return ids, types
}

// longestFirst returns how much is kept of a and b elements where there is room for so
// many: the strategy "longest_first" of Hugging Face's tokenizers.
func longestFirst(a, b, room int) (int, int) {
	if a+b <= room {
		return a, b
	}
	less := min(a, b)
	more := max(less, room-less)
	if less+more > room {
		less = room / 2
		more = room - less
	}
	if a > b {
		return more, less
	}
	return less, more
}

func padded(ids []int32, length int, pad int32) []int32 {
	for len(ids) < length {
		ids = append(ids, pad)
	}
	return ids
}
