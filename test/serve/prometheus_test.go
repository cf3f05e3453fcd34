package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestPrometheus lets Prometheus scrape whet serve, lints the metrics and the
// shipped rules, and waits for the alert about a model that does not load.
//
//	apt-get install prometheus
//	WHET_PROMETHEUS=1 go test -v -run Prometheus ./test/serve
func TestPrometheus(t *testing.T) {
	if os.Getenv("WHET_PROMETHEUS") == "" {
		t.Skip("set WHET_PROMETHEUS=1 to let Prometheus (Debian's package) scrape whet serve")
	}
	url, _ := serve(t)
	dir := t.TempDir()
	rules, err := os.ReadFile("../../board/package/watch/whet.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	// As shipped, an alert waits for minutes; here it must not.
	rules = regexp.MustCompile(`for: [0-9]+m`).ReplaceAll(rules, []byte("for: 0s"))
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [whet.rules.yml]\nscrape_configs: [{job_name: whet, static_configs: [{targets: [%q]}]}]\n", url)
	for name, b := range map[string][]byte{"whet.rules.yml": rules, "prometheus.yml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("promtool", "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput(); err != nil {
		t.Fatalf("promtool check config: %v\n%s", err, out)
	}
	metrics, err := http.Get("http://" + url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Body.Close()
	lint := exec.Command("promtool", "check", "metrics")
	lint.Stdin = metrics.Body
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	prometheus := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+at)
	if err := prometheus.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = prometheus.Process.Kill() // it is not needed any more
		_ = prometheus.Wait()
	}()
	var last []byte
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		resp, err := http.Get("http://" + at + "/api/v1/alerts")
		if err != nil {
			continue // it is starting
		}
		last, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		var reply struct {
			Data struct {
				Alerts []struct {
					Labels map[string]string
					State  string
				}
			}
		}
		if err != nil || json.Unmarshal(last, &reply) != nil {
			continue
		}
		for _, a := range reply.Data.Alerts {
			if a.Labels["alertname"] == "WhetModelUnavailable" && a.Labels["model"] == "torn" && a.State == "firing" {
				return
			}
		}
	}
	t.Errorf("no alert fires: %s", last)
}
