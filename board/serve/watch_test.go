package serve

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/whet-edge/whet/board/serve/drift"
	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/format"
)

// TestDriftProposesTraining shows a model other inputs than it was used to.
func TestDriftProposesTraining(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, nil)
	show := func(n, from int) {
		for i := range n {
			body := strings.Replace(fakeInfer, "[0]", fmt.Sprintf("[%d]", from+i*37%64), 1)
			if rec := ask(s, "POST", "/v2/models/m/infer", body); rec.Code != 200 {
				t.Fatal(rec.Body)
			}
		}
	}
	state := func(text string) {
		t.Helper()
		want(t, ask(s, "GET", "/v2/models/m/drift", ""), 200, text)
	}
	state(`"state":"unwatched"`)
	show(drift.ReferenceSamples-1, 0)
	state(`"state":"learning","samples":499`)
	show(1, 0)
	state(`"state":"watching","samples":0`)
	show(drift.WindowSamples, 0)
	state(`"state":"watching","samples":200,"reference_samples":500,"window_samples":250,"last":{`)
	show(drift.WindowSamples, 100)
	state(`"state":"drifted"`)
	state(`"since":"`)
	state(`"proposal":{"reason":"what the model`)
	state(`"method":"POST","path":"/v2/models/m/train","body":{"canary":0.1},"labelled_samples":0}`)
	want(t, ask(s, "GET", "/v2/models/m/about", ""), 200, `"drift":"drifted"`)
	metrics := ask(s, "GET", "/metrics", "")
	want(t, metrics, 200, `whet_drift_found{model="m"} 1`)
	want(t, metrics, 200, `whet_drift_psi{model="m",feature="x[0]"}`)
	want(t, metrics, 200, `whet_drift_embedding_distance_ratio{model="m"} 0`)

	// The same after a restart: what it was used to is on disk.
	s.stop()
	s = startServer(t, s.cfg)
	show(drift.WindowSamples, 100)
	state(`"state":"drifted"`)
	want(t, ask(s, "DELETE", "/v2/models/m/drift", ""), 200, `"state":"unwatched"`)
	show(1, 100)
	state(`"state":"learning","samples":1`)
}

// pictures is a model of 40 x 20 pixels and three classes.
type pictures struct{ Model }

func (pictures) Inputs() []oip.Spec {
	return []oip.Spec{{Name: "x", Type: format.Uint8, Shape: format.Shape{1, 20, 40, 3}}}
}
func (pictures) Outputs() []oip.Spec {
	return []oip.Spec{{Name: "y", Type: format.Uint8, Shape: format.Shape{1, 3}}}
}

// TestWatchOfPictures looks at the features of a model that sees.
func TestWatchOfPictures(t *testing.T) {
	n := &instance{Model: pictures{&fakeModel{e: &fakeEngine{}}}, version: "1"}
	var w watch
	w.begin(n, nil)
	w.look(bytes.Repeat([]byte{10, 20, 30}, 800), []byte{3, 9, 5})
	if got := fmt.Sprint(w.names(), w.features, w.vector); got != "[x mean 0 x mean 1 x mean 2 x contrast confidence margin class] [10 20 30 8.16496580927726 9 4 1] [3 9 5]" {
		t.Error(got)
	}
}
