// Package stage reads and writes one step of a description as a line of text: a
// name and then key=value pairs, in which a value with spaces is quoted as in Go:
//
//	replace from=" " to="▁"
package stage

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Stage is a step's name and its attributes.
type Stage struct {
	Op    string
	Attrs map[string]string
}

// Parse reads a line.
func Parse(line string) (Stage, error) {
	op, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	s := Stage{op, map[string]string{}}
	if op == "" || strings.ContainsAny(op, "=\"") {
		return s, fmt.Errorf("%.60q begins with no step's name", line)
	}
	for {
		rest = strings.TrimLeft(rest, " ")
		if rest == "" {
			return s, nil
		}
		key, after, ok := strings.Cut(rest, "=")
		if !ok || key == "" || strings.Contains(key, " ") {
			return s, fmt.Errorf("%s: %.60q is not of the form key=value", op, rest)
		}
		if _, twice := s.Attrs[key]; twice {
			return s, fmt.Errorf("%s: %s is given twice", op, key)
		}
		if strings.HasPrefix(after, `"`) {
			quoted, err := strconv.QuotedPrefix(after)
			if err != nil {
				return s, fmt.Errorf("%s: the quotes of %s do not end", op, key)
			}
			if s.Attrs[key], err = strconv.Unquote(quoted); err != nil {
				return s, fmt.Errorf("%s: the quotes of %s: %w", op, key, err)
			}
			rest = after[len(quoted):]
			if rest != "" && rest[0] != ' ' {
				return s, fmt.Errorf("%s: %.60q follows the quotes of %s", op, rest, key)
			}
			continue
		}
		s.Attrs[key], rest, _ = strings.Cut(after, " ")
	}
}

// String writes the line, attributes in the order of their names. Parse gives
// the stage back.
func (s Stage) String() string {
	var b strings.Builder
	b.WriteString(s.Op)
	for _, k := range slices.Sorted(maps.Keys(s.Attrs)) {
		v := s.Attrs[k]
		if v == "" || strings.ContainsAny(v, " \"\\") || strconv.Quote(v) != `"`+v+`"` {
			v = strconv.Quote(v)
		}
		b.WriteString(" " + k + "=" + v)
	}
	return b.String()
}

// Only refuses attributes other than the named ones.
func (s Stage) Only(names ...string) error {
	for k := range s.Attrs {
		if !slices.Contains(names, k) {
			return fmt.Errorf("%s: attribute %q is unknown", s.Op, k)
		}
	}
	return nil
}

// Bool returns an attribute that is true or false.
func (s Stage) Bool(name string) bool { return s.Attrs[name] == "true" }
