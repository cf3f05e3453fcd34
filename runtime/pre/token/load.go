package token

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxFile bounds the files that Load reads.
const maxFile = 256 << 20

// Load reads a tokenizer from the file that a model came with:
//
//	tokenizer.json        of Hugging Face's tokenizers
//	vocab.txt             BERT's, one piece a line; lower case if [lower] says so
//	*.bin                 llama2.c's: the longest piece, then score, length and text of each
//	vocab.json, encoder.json   GPT-2's, with merges.txt or vocab.bpe beside it
func Load(path string) (*Tokenizer, error) {
	s, err := LoadSpec(path)
	if err != nil {
		return nil, err
	}
	t, err := New(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// LoadSpec reads the description alone. See [Load].
func LoadSpec(path string) (*Spec, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var s *Spec
	switch base := filepath.Base(path); {
	case strings.HasSuffix(base, ".txt"):
		s, err = ReadVocab(bytes.NewReader(b), true)
	case strings.HasSuffix(base, ".bin"):
		s, err = ReadLlama2(b)
	case base == "vocab.json" || base == "encoder.json":
		for _, name := range []string{"merges.txt", "vocab.bpe"} {
			var merges []byte
			if merges, err = readFile(filepath.Join(filepath.Dir(path), name)); err == nil {
				s, err = ReadGPT2(b, merges)
				break
			}
		}
	case strings.HasSuffix(base, ".json"):
		s, err = ReadJSON(b)
	default:
		err = fmt.Errorf("a tokenizer is a tokenizer.json, a vocab.txt, a vocab.json with merges.txt, or llama2.c's .bin")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d MiB", path, maxFile>>20)
	}
	return b, err
}

// ReadVocab reads the vocab.txt of a BERT model: one piece a line, its id the
// number of the line. lower says that the model was trained on lower case
// without accents.
func ReadVocab(r io.Reader, lower bool) (*Spec, error) {
	s := &Spec{}
	ids := map[string]int{}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		piece := strings.TrimRight(sc.Text(), "\r")
		ids[piece] = len(s.Vocab)
		s.Vocab = append(s.Vocab, piece)
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	for _, name := range []string{"[UNK]", "[CLS]", "[SEP]"} {
		if _, ok := ids[name]; !ok {
			return nil, fmt.Errorf("the vocabulary has no %s: it is not of a BERT model", name)
		}
	}
	s.Model = line("wordpiece", "unk", ids["[UNK]"], "prefix", "##", "longest", 100)
	s.Normalize = []string{line("bert", "clean", true, "cjk", true, "accents", lower, "lower", lower)}
	s.Split = []string{"bert"}
	for _, name := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} {
		if id, ok := ids[name]; ok {
			s.Added = append(s.Added, line("token", "id", id, "text", name, "special", true))
		}
	}
	s.frame(ids["[CLS]"], ids["[SEP]"], false)
	s.Decode = []string{line("wordpiece", "prefix", "##", "clean", true)}
	return s, nil
}

// ReadGPT2 reads GPT-2's vocabulary and its list of merges.
func ReadGPT2(vocab, merges []byte) (*Spec, error) {
	var ids map[string]int
	if err := json.Unmarshal(vocab, &ids); err != nil {
		return nil, err
	}
	s := &Spec{Model: "bpe", Split: []string{"pattern name=gpt2", "bytes"}, Decode: []string{"bytes"}}
	if err := s.setVocab(ids); err != nil {
		return nil, err
	}
	var pairs [][2]string
	for l := range strings.Lines(string(merges)) {
		a, b, ok := strings.Cut(strings.TrimRight(l, "\r\n"), " ")
		if ok && !strings.HasPrefix(l, "#version") {
			pairs = append(pairs, [2]string{a, b})
		}
	}
	const end = "<|endoftext|>"
	if id, ok := ids[end]; ok {
		s.Added = []string{line("token", "id", id, "text", end, "special", true)}
	}
	return s, s.setMerges(pairs, ids)
}

// ReadLlama2 reads the tokenizer.bin of llama2.c: SentencePiece's byte-pair
// encoding with a space for its mark, ids 0 to 2 unknown, begin and end, then
// the 256 bytes.
func ReadLlama2(b []byte) (*Spec, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("%d bytes are no tokenizer", len(b))
	}
	s := &Spec{Model: "bpe unk=0 bytes=true"}
	for at := 4; at < len(b); {
		if len(b)-at < 8 {
			return nil, fmt.Errorf("it ends within piece %d", len(s.Vocab))
		}
		score := math.Float32frombits(binary.LittleEndian.Uint32(b[at:]))
		n := int(binary.LittleEndian.Uint32(b[at+4:]))
		if at += 8; n > len(b)-at || math.IsNaN(float64(score)) {
			return nil, fmt.Errorf("piece %d of %d bytes at byte %d", len(s.Vocab), n, at)
		}
		s.Vocab = append(s.Vocab, strings.ToValidUTF8(string(b[at:at+n]), "�"))
		s.Scores = append(s.Scores, float64(score))
		at += n
	}
	if len(s.Vocab) < 3+256 {
		return nil, fmt.Errorf("%d pieces: three special ones and 256 bytes are the least", len(s.Vocab))
	}
	for c := range 256 {
		s.Vocab[3+c] = fmt.Sprintf("<0x%02X>", c)
	}
	s.Vocab[1], s.Vocab[2] = "<s>", "</s>"
	for id, name := range []string{"<unk>", "<s>", "</s>"} {
		s.Added = append(s.Added, line("token", "id", strconv.Itoa(id), "text", name, "special", true))
	}
	s.Normalize = []string{`prepend text=" "`}
	s.Finish = []string{"token id=1", "text"}
	s.Decode = []string{"fallback", "fuse", `strip text=" " left=1 right=0`}
	return s, nil
}
