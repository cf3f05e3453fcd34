package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/runtime/pre/stage"
)

// The parts of a tokenizer.json file.
type hfFile struct {
	Added []struct {
		ID         int    `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer    *hfStep `json:"normalizer"`
	PreTokenizer  *hfStep `json:"pre_tokenizer"`
	PostProcessor *hfStep `json:"post_processor"`
	Decoder       *hfStep `json:"decoder"`
	Model         hfModel `json:"model"`
}

type hfModel struct {
	Type     string          `json:"type"`
	Vocab    json.RawMessage `json:"vocab"`
	Merges   json.RawMessage `json:"merges"`
	Unk      *string         `json:"unk_token"`
	UnkID    *int            `json:"unk_id"`
	Fuse     *bool           `json:"fuse_unk"`
	Bytes    bool            `json:"byte_fallback"`
	Whole    bool            `json:"ignore_merges"`
	Prefix   *string         `json:"continuing_subword_prefix"`
	Suffix   *string         `json:"end_of_word_suffix"`
	MaxChars *int            `json:"max_input_chars_per_word"`
}

// hfStep is a normalizer, pre-tokenizer, post-processor or decoder: their
// fields do not collide.
type hfStep struct {
	Type           string          `json:"type"`
	Normalizers    []hfStep        `json:"normalizers"`
	PreTokenizers  []hfStep        `json:"pretokenizers"`
	Processors     []hfStep        `json:"processors"`
	Decoders       []hfStep        `json:"decoders"`
	CleanText      bool            `json:"clean_text"`
	CJK            bool            `json:"handle_chinese_chars"`
	StripAccents   *bool           `json:"strip_accents"`
	Lowercase      bool            `json:"lowercase"`
	StripLeft      bool            `json:"strip_left"`
	StripRight     bool            `json:"strip_right"`
	Pattern        json.RawMessage `json:"pattern"`
	Content        string          `json:"content"`
	Prepend        string          `json:"prepend"`
	Charsmap       string          `json:"precompiled_charsmap"`
	AddPrefixSpace *bool           `json:"add_prefix_space"`
	UseRegex       *bool           `json:"use_regex"`
	Replacement    string          `json:"replacement"`
	PrependScheme  string          `json:"prepend_scheme"`
	DoSplit        *bool           `json:"split"`
	Behavior       string          `json:"behavior"`
	Invert         bool            `json:"invert"`
	Individual     bool            `json:"individual_digits"`
	Prefix         string          `json:"prefix"`
	Cleanup        bool            `json:"cleanup"`
	Suffix         string          `json:"suffix"`
	Start          int             `json:"start"`
	Stop           int             `json:"stop"`
	Sep            []any           `json:"sep"`
	Cls            []any           `json:"cls"`
	Single         []hfPiece       `json:"single"`
	Pair           []hfPiece       `json:"pair"`
	Special        map[string]struct {
		IDs []int `json:"ids"`
	} `json:"special_tokens"`
}

// hfPiece is a part of a template.
type hfPiece struct {
	Special  *hfPlace `json:"SpecialToken"`
	Sequence *hfPlace `json:"Sequence"`
}

// hfPlace is a special token's name, or A or B, and the type of what stands there.
type hfPlace struct {
	ID   string `json:"id"`
	Type int    `json:"type_id"`
}

// ReadJSON reads the description in a tokenizer.json file of Hugging Face's
// tokenizers. Truncation and padding are the caller's and are passed over.
func ReadJSON(b []byte) (*Spec, error) {
	var f hfFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	s := &Spec{}
	if err := f.Model.read(s); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	for _, a := range f.Added {
		at := map[string]string{"id": strconv.Itoa(a.ID), "text": a.Content}
		for name, on := range map[string]bool{"special": a.Special, "lstrip": a.LStrip, "rstrip": a.RStrip, "word": a.SingleWord, "normalized": a.Normalized} {
			if on {
				at[name] = "true"
			}
		}
		s.Added = append(s.Added, stage.Stage{Op: "token", Attrs: at}.String())
	}
	for _, part := range []struct {
		step *hfStep
		read func(*hfStep, *Spec) error
	}{{f.Normalizer, readNormalizer}, {f.PreTokenizer, readSplitter}, {f.PostProcessor, readFinish}, {f.Decoder, readDecoder}} {
		if part.step == nil {
			continue
		}
		if err := part.read(part.step, s); err != nil {
			return nil, fmt.Errorf("tokenizer.json: %w", err)
		}
	}
	return s, nil
}

func (m *hfModel) read(s *Spec) error {
	if m.Type == "" { // older files leave it out
		switch {
		case m.UnkID != nil || bytes.HasPrefix(bytes.TrimSpace(m.Vocab), []byte("[")):
			m.Type = "Unigram"
		case m.Merges != nil:
			m.Type = "BPE"
		default:
			m.Type = "WordPiece"
		}
	}
	at := map[string]string{}
	flag := func(name string, on bool) {
		if on {
			at[name] = "true"
		}
	}
	text := func(name string, v *string) {
		if v != nil && *v != "" {
			at[name] = *v
		}
	}
	if m.Type == "Unigram" {
		var pairs [][2]json.RawMessage
		if err := json.Unmarshal(m.Vocab, &pairs); err != nil {
			return fmt.Errorf("vocab: %w", err)
		}
		for i, p := range pairs {
			var piece string
			score, ok := score(string(p[1]))
			if json.Unmarshal(p[0], &piece) != nil || !ok {
				return fmt.Errorf("vocab: entry %d is not a piece and its score", i)
			}
			s.Vocab, s.Scores = append(s.Vocab, piece), append(s.Scores, score)
		}
		if m.UnkID != nil {
			at["unk"] = strconv.Itoa(*m.UnkID)
		}
		flag("bytes", m.Bytes)
		flag("fuse", m.Fuse == nil || *m.Fuse)
		s.Model = stage.Stage{Op: "unigram", Attrs: at}.String()
		return nil
	}
	var ids map[string]int
	if err := json.Unmarshal(m.Vocab, &ids); err != nil {
		return fmt.Errorf("vocab: %w", err)
	}
	if err := s.setVocab(ids); err != nil {
		return err
	}
	if m.Unk != nil {
		if id, ok := ids[*m.Unk]; ok {
			at["unk"] = strconv.Itoa(id)
		}
	}
	switch m.Type {
	case "WordPiece":
		at["prefix"] = "##"
		text("prefix", m.Prefix)
		if m.MaxChars != nil {
			at["longest"] = strconv.Itoa(*m.MaxChars)
		}
		s.Model = stage.Stage{Op: "wordpiece", Attrs: at}.String()
		return nil
	case "BPE":
		text("prefix", m.Prefix)
		text("suffix", m.Suffix)
		flag("bytes", m.Bytes)
		flag("fuse", m.Fuse != nil && *m.Fuse)
		flag("whole", m.Whole)
		s.Model = stage.Stage{Op: "bpe", Attrs: at}.String()
		var pairs [][2]string
		if json.Unmarshal(m.Merges, &pairs) != nil {
			var lines []string
			if err := json.Unmarshal(m.Merges, &lines); err != nil {
				return fmt.Errorf("merges: %w", err)
			}
			for _, l := range lines {
				a, b, _ := strings.Cut(l, " ")
				pairs = append(pairs, [2]string{a, b})
			}
		}
		return s.setMerges(pairs, ids)
	}
	return fmt.Errorf("this version has no model %q", m.Type)
}

// score reads a number as the reference does: its digits as an integer, then one
// division by a power of ten. That may be one unit in the last place off the
// nearest number, and decides which of two segmentations of equal sums is taken
// (FFFF is FF|F|F or F|F|FF).
func score(text string) (float64, bool) {
	exact, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false
	}
	var digits uint64
	point, places := false, 0
	for _, c := range []byte(strings.TrimPrefix(text, "-")) {
		switch {
		case c == '.':
			point = true
		case c < '0' || c > '9' || digits >= math.MaxUint64/10: // an exponent, or more digits than fit
			return exact, true
		default:
			digits = digits*10 + uint64(c-'0')
			if point {
				places++
			}
		}
	}
	if places > 22 { // powers of ten that are no floating-point numbers
		return exact, true
	}
	v := float64(digits) / math.Pow10(places)
	return math.Copysign(v, exact), true
}

// maxIDs bounds the ids of a vocabulary: a hostile one may name a single huge id.
const maxIDs = 1 << 22

func (s *Spec) setVocab(ids map[string]int) error {
	for piece, id := range ids {
		if id < 0 || id >= maxIDs {
			return fmt.Errorf("vocab: id %d of %.40q", id, piece)
		}
		if id >= len(s.Vocab) {
			s.Vocab = append(s.Vocab, make([]string, id+1-len(s.Vocab))...)
		}
		s.Vocab[id] = piece
	}
	return nil
}

func (s *Spec) setMerges(pairs [][2]string, ids map[string]int) error {
	for i, p := range pairs {
		a, ok1 := ids[p[0]]
		b, ok2 := ids[p[1]]
		if !ok1 || !ok2 {
			return fmt.Errorf("merges: line %d, %.40q and %.40q: one is not in the vocabulary", i+1, p[0], p[1])
		}
		s.Merges = append(s.Merges, int64(a), int64(b))
	}
	return nil
}

// line writes a stage; pairs are names and values.
func line(op string, pairs ...any) string {
	at := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		at[pairs[i].(string)] = fmt.Sprint(pairs[i+1])
	}
	return stage.Stage{Op: op, Attrs: at}.String()
}

func readNormalizer(h *hfStep, s *Spec) error {
	add := func(l string) { s.Normalize = append(s.Normalize, l) }
	switch h.Type {
	case "Sequence":
		for i := range h.Normalizers {
			if err := readNormalizer(&h.Normalizers[i], s); err != nil {
				return err
			}
		}
	case "BertNormalizer":
		accents := h.Lowercase
		if h.StripAccents != nil {
			accents = *h.StripAccents
		}
		add(line("bert", "clean", h.CleanText, "cjk", h.CJK, "accents", accents, "lower", h.Lowercase))
	case "NFC", "NFD", "NFKC", "NFKD":
		add(strings.ToLower(h.Type))
	case "Lowercase":
		add("lower")
	case "StripAccents":
		add("accents")
	case "Strip":
		add(line("strip", "left", h.StripLeft, "right", h.StripRight))
	case "Prepend":
		add(line("prepend", "text", h.Prepend))
	case "Replace":
		text, re, err := h.pattern()
		switch {
		case err != nil:
			return err
		case re != "":
			add(line("match", "regexp", re, "to", h.Content))
		default:
			add(line("replace", "from", text, "to", h.Content))
		}
	case "Precompiled":
		b, err := base64.StdEncoding.DecodeString(h.Charsmap)
		if err != nil {
			return fmt.Errorf("precompiled_charsmap: %w", err)
		}
		s.Charsmap = b
		add("precompiled")
	default:
		return fmt.Errorf("this version has no normalizer %q", h.Type)
	}
	return nil
}

// pattern returns {"String": text} or {"Regex": re}.
func (h *hfStep) pattern() (text, re string, err error) {
	var p struct {
		String string
		Regex  string
	}
	if err := json.Unmarshal(h.Pattern, &p); err != nil {
		return "", "", fmt.Errorf("%s: pattern: %w", h.Type, err)
	}
	return p.String, p.Regex, nil
}

var behaviors = map[string]string{"Removed": "removed", "Isolated": "isolated", "Contiguous": "contiguous", "MergedWithPrevious": "previous", "MergedWithNext": "next"}

func readSplitter(h *hfStep, s *Spec) error {
	add := func(l string) { s.Split = append(s.Split, l) }
	keep := behaviors[h.Behavior]
	switch h.Type {
	case "Sequence":
		for i := range h.PreTokenizers {
			if err := readSplitter(&h.PreTokenizers[i], s); err != nil {
				return err
			}
		}
	case "BertPreTokenizer":
		add("bert")
	case "Whitespace":
		add("words")
	case "WhitespaceSplit":
		add("white")
	case "Punctuation":
		if keep == "" {
			keep = "isolated"
		}
		add(line("punctuation", "keep", keep))
	case "Digits":
		add(line("digits", "each", h.Individual))
	case "Metaspace":
		add(line("metaspace", "mark", h.Replacement, "prepend", h.prepend(), "split", h.DoSplit == nil || *h.DoSplit))
	case "ByteLevel":
		prefix := h.AddPrefixSpace == nil || *h.AddPrefixSpace
		if prefix {
			add(`prefix`)
		}
		if h.UseRegex == nil || *h.UseRegex {
			add("pattern name=gpt2")
		}
		add("bytes")
	case "Split":
		text, re, err := h.pattern()
		if err != nil {
			return err
		}
		if name := patternText[re]; name != "" && keep == "isolated" && !h.Invert {
			add("pattern name=" + name)
		} else if name != "" && keep == "removed" && h.Invert {
			add("pattern name=" + name) // what matches is everything
		} else if re != "" {
			add(line("pattern", "regexp", re, "keep", keep, "invert", h.Invert))
		} else {
			add(line("pattern", "text", text, "keep", keep, "invert", h.Invert))
		}
	default:
		return fmt.Errorf("this version has no pre-tokenizer %q", h.Type)
	}
	return nil
}

// prepend returns Metaspace's scheme; older files say add_prefix_space.
func (h *hfStep) prepend() string {
	switch {
	case h.PrependScheme != "":
		return h.PrependScheme
	case h.AddPrefixSpace != nil && !*h.AddPrefixSpace:
		return "never"
	}
	return "always"
}

func readFinish(h *hfStep, s *Spec) error {
	special := func(pair []any) (int, error) {
		if len(pair) == 2 {
			if id, ok := pair[1].(float64); ok {
				return int(id), nil
			}
		}
		return 0, fmt.Errorf("%s: %v is not a token and its id", h.Type, pair)
	}
	switch h.Type {
	case "Sequence":
		for i := range h.Processors {
			if err := readFinish(&h.Processors[i], s); err != nil {
				return err
			}
		}
	case "ByteLevel": // concerns offsets only
	case "BertProcessing", "RobertaProcessing":
		cls, err1 := special(h.Cls)
		sep, err2 := special(h.Sep)
		if err := firstError(err1, err2); err != nil {
			return err
		}
		s.frame(cls, sep, h.Type == "RobertaProcessing")
	case "TemplateProcessing":
		var err1, err2 error
		s.Finish, err1 = h.template(h.Single)
		s.Pair, err2 = h.template(h.Pair)
		return firstError(err1, err2)
	default:
		return fmt.Errorf("this version has no post-processor %q", h.Type)
	}
	return nil
}

// frame sets BERT's frame, [CLS] A [SEP] B [SEP], or RoBERTa's, which puts two tokens
// between the texts and knows one type.
func (s *Spec) frame(cls, sep int, roberta bool) {
	first, last := line("token", "id", cls), line("token", "id", sep)
	s.Finish = []string{first, "text", last}
	s.Pair = []string{first, "text", last, line("text", "second", true, "type", 1), line("token", "id", sep, "type", 1)}
	if roberta {
		s.Pair = []string{first, "text", last, last, line("text", "second", true), last}
	}
}

// template returns the lines of a frame.
func (h *hfStep) template(list []hfPiece) ([]string, error) {
	var out []string
	add := func(op string, kind int, pairs ...any) {
		if kind != 0 {
			pairs = append(pairs, "type", kind)
		}
		out = append(out, line(op, pairs...))
	}
	for _, p := range list {
		switch {
		case p.Sequence != nil && p.Sequence.ID == "B":
			add("text", p.Sequence.Type, "second", true)
		case p.Sequence != nil:
			add("text", p.Sequence.Type)
		case p.Special == nil || len(h.Special[p.Special.ID].IDs) == 0:
			return nil, fmt.Errorf("TemplateProcessing: a piece is neither a text nor a special token")
		default:
			for _, id := range h.Special[p.Special.ID].IDs {
				add("token", p.Special.Type, "id", id)
			}
		}
	}
	return out, nil
}

func readDecoder(h *hfStep, s *Spec) error {
	add := func(l string) { s.Decode = append(s.Decode, l) }
	switch h.Type {
	case "Sequence":
		for i := range h.Decoders {
			if err := readDecoder(&h.Decoders[i], s); err != nil {
				return err
			}
		}
	case "WordPiece":
		add(line("wordpiece", "prefix", h.Prefix, "clean", h.Cleanup))
	case "ByteLevel":
		add("bytes")
	case "Metaspace":
		add(line("metaspace", "mark", h.Replacement, "prepend", h.prepend()))
	case "ByteFallback":
		add("fallback")
	case "Fuse":
		add("fuse")
	case "Replace":
		text, re, err := h.pattern()
		if err == nil && re != "" {
			err = fmt.Errorf("decoder Replace: this version takes a text, not the expression %q", re)
		}
		if err != nil {
			return err
		}
		add(line("replace", "from", text, "to", h.Content))
	case "Strip":
		add(line("strip", "text", h.Content, "left", h.Start, "right", h.Stop))
	case "BPEDecoder":
		add(line("suffix", "text", h.Suffix))
	default:
		return fmt.Errorf("this version has no decoder %q", h.Type)
	}
	return nil
}
