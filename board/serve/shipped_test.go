package serve

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestShippedWatching asks that the dashboard and the alert rules know only
// metrics that there are, and that the dashboard shows all that there are.
func TestShippedWatching(t *testing.T) {
	name := regexp.MustCompile(`\bwhet_[a-z_]+`)
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`r\.(?:Counter|Gauge|Histogram)\("(whet_[a-z_]+)"`).FindAllSubmatch(source, -1) {
		known[string(m[1])] = true
	}
	used := map[string]bool{}
	for _, file := range []string{"grafana.json", "whet.rules.yml"} {
		b, err := os.ReadFile("../package/watch/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllString(string(b), -1) {
			m = strings.TrimSuffix(m, "_bucket")
			used[m] = true
			if !known[m] {
				t.Errorf("%s: there is no metric %s", file, m)
			}
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(b) {
			t.Errorf("%s is not JSON", file)
		}
	}
	elsewhere := []string{"whet_samples_total", "whet_store_recovered_records_total"}
	for m := range known {
		if !used[m] && !slices.Contains(elsewhere, m) {
			t.Errorf("neither the dashboard nor a rule knows %s", m)
		}
	}
}
