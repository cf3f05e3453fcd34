package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/demo"
	daemon "github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// TestTeachTwoClasses is the daemon's whole story over HTTP, on the demo's
// network and images: 20 examples each of ten classes, eight known and two new,
// are posted; the daemon trains; the result is promoted, names the new classes,
// and is rolled back.
func TestTeachTwoClasses(t *testing.T) {
	sets, err := demo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	test, pool := sets[0], sets[1]
	c := teacher{t: t, url: inProcess(t)}
	var m struct {
		Inputs, Outputs []struct{ Name, Datatype string }
	}
	c.json("GET", "", "", 200, &m)
	c.input, c.datatype = m.Inputs[0].Name, m.Inputs[0].Datatype
	c.output = m.Outputs[0].Name

	before := c.accuracy(test)
	shown := map[int]int{}
	for i, class := range pool.Label {
		if shown[class]++; shown[class] <= demo.Each {
			c.post("/samples", fmt.Sprintf(`"label":%q,`, demo.Classes[class]), pool.Pixels[i], 201, nil)
		}
	}
	var counts struct{ Count int }
	c.json("GET", "/samples?limit=0", "", 200, &counts)
	if counts.Count != demo.Each*len(demo.Classes) {
		t.Fatalf("%d samples were kept of %d in the pool", counts.Count, pool.Len())
	}
	c.json("POST", "/train", "", 202, nil)
	var job struct{ State, Reason, Version string }
	for job.State = "running"; job.State == "running"; time.Sleep(5 * time.Millisecond) {
		c.json("GET", "/train", "", 200, &job)
	}
	if job.State != "passed" {
		t.Fatalf("training has %s: %s", job.State, job.Reason)
	}
	if again := c.accuracy(test); again != before {
		t.Errorf("the model changed before it was promoted: %+v, then %+v", before, again)
	}
	c.json("POST", "/promote", fmt.Sprintf(`{"version":%q}`, job.Version), 200, nil)
	after := c.accuracy(test)
	t.Logf("before: %+v; after: %+v", before, after)
	if before.newer != 0 || after.newer < 0.7 || after.older < before.older-0.1 {
		t.Errorf("before: %+v; after: %+v", before, after)
	}
	c.json("POST", "/rollback", "", 200, nil)
	if back := c.accuracy(test); back != before {
		t.Errorf("rolled back to %+v, not %+v", back, before)
	}
}

// inProcess serves the demo's network by the handler of this process.
func inProcess(t *testing.T) (url string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fashion.whet"), demo.BaseFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(vfs.OS, filepath.Join(dir, "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := daemon.New(daemon.Config{Models: dir, Store: st, Engine: daemon.Runtime{}, Trainer: daemon.Tuner{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		srv.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv.URL + "/v2/models/fashion"
}

// teacher is a client of one model.
type teacher struct {
	t               *testing.T
	url             string
	input, datatype string
	output          string
}

func (c *teacher) json(method, path, body string, code int, v any) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(r, code, v)
}

// post sends an image as a binary tensor, with more JSON before it.
func (c *teacher) post(path, more string, pixels []byte, code int, v any) {
	c.t.Helper()
	head := fmt.Sprintf(`{%s"inputs":[{"name":%q,"shape":[1,%d,%d,1],"datatype":%q,"parameters":{"binary_data_size":%d}}]}`,
		more, c.input, demo.Side, demo.Side, c.datatype, len(pixels))
	body := []byte(head)
	for _, p := range pixels {
		body = append(body, p^0x80) // the input's zero point is -128
	}
	r, err := http.NewRequest("POST", c.url+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
	c.send(r, code, v)
}

func (c *teacher) send(r *http.Request, code int, v any) {
	c.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && v != nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil || resp.StatusCode != code {
		c.t.Fatalf("%s %s: %d %s %v", r.Method, r.URL.Path, resp.StatusCode, body, err)
	}
}

// judged is how many test images are asked for at a time.
const judged = 400

type accuracy struct{ older, newer float64 }

// accuracy asks for the class of every image.
func (c *teacher) accuracy(test *demo.Images) accuracy {
	c.t.Helper()
	var right, all [2]float64
	for i, class := range test.Label[:judged] {
		var reply struct {
			Outputs []struct{ Data []string }
		}
		c.post("/infer", fmt.Sprintf(`"outputs":[{"name":%q,"parameters":{"classification":1}}],`, c.output), test.Pixels[i], 200, &reply)
		group := 0
		if class >= demo.Old {
			group = 1
		}
		all[group]++
		if strings.HasSuffix(reply.Outputs[0].Data[0], ":"+demo.Classes[class]) {
			right[group]++
		}
	}
	return accuracy{right[0] / all[0], right[1] / all[1]}
}
