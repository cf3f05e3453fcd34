package stage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	got, err := Parse(`  replace from=" "  to=▁ empty="" `)
	if err != nil {
		t.Fatal(err)
	}
	want := Stage{"replace", map[string]string{"from": " ", "to": "▁", "empty": ""}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "a=1", "op key", `op key="x`, `op key="x"y`, "op k=1 k=2", `op k="\q"`, "op =1"} {
		if s, err := Parse(bad); err == nil {
			t.Errorf("%q gives %v", bad, s)
		}
	}
}

// Whatever a value holds comes back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Stage{"op", rapid.MapOfN(rapid.StringMatching("[a-z]{1,5}"), rapid.String(), 0, 4).Draw(t, "attrs")}
		got, err := Parse(s.String())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Errorf("%s: %s", s, d)
		}
	})
}
