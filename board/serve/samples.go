package serve

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
)

// form names the types and shapes of input tensors, as a sample keeps them: a
// sample whose form is not that of the model any more cannot be used with it.
func form(specs []oip.Spec) string {
	parts := make([]string, len(specs))
	for i, s := range specs {
		parts[i] = oip.Datatype(s.Type) + strings.ReplaceAll(fmt.Sprint([]int(s.Shape)), " ", ",")
	}
	return strings.Join(parts, ";")
}

// addSample keeps what the model was shown and what it should have said. The
// body is an inference request with a "label", or with a Content-Type of a
// picture or the like that file itself, its label in the query. The reply is
// sent when the sample is on disk.
func (s *Server) addSample(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	n, err := s.repo.hold(name, "")
	if err != nil {
		return err
	}
	defer n.release()
	answeredBy(w, name, n.version)
	sample, done, err := s.readSample(w, r, n)
	if err != nil {
		return err
	}
	defer done()
	sample.Model = name
	id, err := s.cfg.Store.Add(*sample)
	if errors.Is(err, store.ErrQuota) {
		s.metrics.rejected.Inc("quota")
	}
	if err != nil {
		return err
	}
	s.metrics.sampleAdded(name, sample.Label, n.Labels())
	s.judge(name, n, sample)
	w.Header().Set("Location", fmt.Sprintf("/v2/models/%s/samples/%d", name, id))
	writeJSON(w, http.StatusCreated, struct {
		Model string `json:"model_name"`
		ID    string `json:"id"`
		Label string `json:"label"`
	}{name, strconv.FormatUint(id, 10), sample.Label})
	return nil
}

func (s *Server) readSample(w http.ResponseWriter, r *http.Request, n *instance) (*store.Sample, func(), error) {
	media, err := mediaType(r)
	if err != nil {
		return nil, nil, err
	}
	if media != "" {
		return s.readMediaSample(w, r, n, media)
	}
	req, done, err := s.request(w, r, n, true)
	if err != nil {
		return nil, nil, err
	}
	sample := &store.Sample{Form: form(n.Inputs())}
	if req.Media != nil {
		sample.Media = http.DetectContentType(req.Media)
		sample.Form, sample.Data = sample.Media, req.Media
	}
	if req.Label == nil {
		err = refuse(http.StatusBadRequest, "the sample has no label")
	} else {
		sample.Label, err = checkLabel(*req.Label)
	}
	if err == nil && req.Media != nil {
		_, err = s.decodeAny(n, req.Media) // what cannot be learned from is not acknowledged
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	if len(req.Inputs) == 1 {
		sample.Data = req.Inputs[0]
		return sample, done, nil
	}
	for _, in := range req.Inputs {
		sample.Data = append(sample.Data, in...)
	}
	return sample, done, nil
}

// readMediaSample reads a file and tries the model's preprocessing on it: what
// cannot be learned from is not acknowledged.
func (s *Server) readMediaSample(w http.ResponseWriter, r *http.Request, n *instance, media string) (*store.Sample, func(), error) {
	if !r.URL.Query().Has("label") {
		return nil, nil, refuse(http.StatusBadRequest, "the sample has no label: put it in the query, .../samples?label=NAME")
	}
	label, err := checkLabel(r.URL.Query().Get("label"))
	if err != nil {
		return nil, nil, err
	}
	body, done, err := s.body(w, r, s.cfg.MaxBody)
	if err != nil {
		return nil, nil, err
	}
	if _, err := s.decode(n, media, body); err != nil {
		done()
		return nil, nil, refuse(http.StatusBadRequest, "the %s cannot be used: %v", media, err)
	}
	return &store.Sample{Label: label, Media: media, Form: media, Data: body}, done, nil
}

// mediaRow is the media type of one row of a table (RFC 4180).
const mediaRow = "text/csv"

// mediaType returns the request's Content-Type if the body is a file rather
// than an inference request, else "".
func mediaType(r *http.Request) (string, error) {
	h := r.Header.Get("Content-Type")
	if h == "" {
		return "", nil
	}
	media, _, err := mime.ParseMediaType(h)
	if err != nil {
		return "", refuse(http.StatusUnsupportedMediaType, "Content-Type %q is not understood", h)
	}
	if strings.HasPrefix(media, "image/") || strings.HasPrefix(media, "audio/") || media == mediaRow {
		return media, nil
	}
	return "", nil // JSON, under whatever name clients give it
}

// maxLabel bounds a label's length in bytes.
const maxLabel = 256

func checkLabel(l string) (string, error) {
	if l == "" || len(l) > maxLabel || strings.ContainsFunc(l, func(c rune) bool { return c == unicode.ReplacementChar || unicode.IsControl(c) }) {
		return "", refuse(http.StatusBadRequest, "label %q must have 1 to %d bytes of UTF-8 without control characters", l[:min(len(l), 64)], maxLabel)
	}
	return l, nil
}

// sampleRow is a sample in the replies to GET .../samples.
type sampleRow struct {
	ID    string      `json:"id"`
	Label string      `json:"label"`
	Time  int64       `json:"time"`
	Media string      `json:"media,omitempty"`
	Form  string      `json:"form"`
	Bytes int         `json:"bytes"`
	In    []inputData `json:"inputs,omitempty"`
}

type inputData struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int   `json:"shape"`
	Data     rawJSON `json:"data"`
}

// rawJSON is JSON that is ready.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// A page of samples.
const (
	defaultPage = 100
	maxPage     = 10000
)

// listSamples counts the samples and lists a page of them: those with ids above
// the query's "after", at most "limit".
func (s *Server) listSamples(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	if _, err := s.repo.entry(name); err != nil {
		return err
	}
	after, err := queryNumber(r, "after", 0, ^uint64(0))
	if err != nil {
		return err
	}
	limit, err := queryNumber(r, "limit", defaultPage, maxPage)
	if err != nil {
		return err
	}
	c := s.cfg.Store.Counts(name)
	rows := []sampleRow{}
	for _, i := range s.cfg.Store.List(name, after, int(limit)) {
		rows = append(rows, sampleRow{ID: strconv.FormatUint(i.ID, 10), Label: i.Label, Time: i.Time, Media: i.Media, Form: i.Form, Bytes: i.Bytes})
	}
	writeJSON(w, http.StatusOK, struct {
		Model   string         `json:"model_name"`
		Count   int            `json:"count"`
		Bytes   int64          `json:"bytes"`
		Labels  map[string]int `json:"labels"`
		Samples []sampleRow    `json:"samples"`
	}{name, c.Samples, c.Bytes, c.Labels, rows})
	return nil
}

func queryNumber(r *http.Request, name string, def, most uint64) (uint64, error) {
	q := r.URL.Query()
	if !q.Has(name) {
		return def, nil
	}
	v, err := strconv.ParseUint(q.Get(name), 10, 64)
	if err != nil || v > most {
		return 0, refuse(http.StatusBadRequest, "%s must be a whole number from 0 to %d", name, most)
	}
	return v, nil
}

// sampleID returns the id in the path, of a sample of the model in the path.
func (s *Server) sampleID(r *http.Request) (uint64, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if i, ok := s.cfg.Store.Info(id); err != nil || !ok || i.Model != r.PathValue("model") {
		return 0, refuse(http.StatusNotFound, "model %q has no sample %q", r.PathValue("model"), r.PathValue("id"))
	}
	return id, nil
}

// getSample gives a sample back: a file as it came, tensors as an inference
// request has them.
func (s *Server) getSample(w http.ResponseWriter, r *http.Request) error {
	id, err := s.sampleID(r)
	if err != nil {
		return err
	}
	sample, err := s.cfg.Store.Get(id)
	if err != nil {
		return err
	}
	if sample.Media != "" {
		w.Header().Set("Content-Type", sample.Media)
		w.Header().Set("Content-Length", strconv.Itoa(len(sample.Data)))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(sample.Data) // the client may be gone; nobody else is to be told
		return nil
	}
	n, err := s.repo.hold(sample.Model, "")
	if err != nil {
		return err
	}
	defer n.release()
	inputs, err := splitInputs(sample, n.Inputs())
	if err != nil {
		return err
	}
	row := sampleRow{ID: strconv.FormatUint(id, 10), Label: sample.Label, Time: sample.Time, Form: sample.Form, Bytes: len(sample.Data)}
	for i, spec := range n.Inputs() {
		data, err := oip.AppendData(nil, inputs[i], spec.Type)
		if err != nil {
			return refuse(http.StatusUnprocessableEntity, "input %q: %v", spec.Name, err)
		}
		row.In = append(row.In, inputData{Name: spec.Name, Datatype: oip.Datatype(spec.Type), Shape: spec.Shape, Data: data})
	}
	writeJSON(w, http.StatusOK, row)
	return nil
}

// splitInputs cuts a sample's data into the model's input tensors.
func splitInputs(sample *store.Sample, specs []oip.Spec) ([][]byte, error) {
	if sample.Form != form(specs) {
		return nil, refuse(http.StatusConflict, "sample %d has the form %s, the model now needs %s", sample.ID, sample.Form, form(specs))
	}
	data := sample.Data
	in := make([][]byte, len(specs))
	for i := range specs {
		size := specs[i].Bytes()
		if size < 0 || size > len(data) {
			return nil, refuse(http.StatusConflict, "sample %d is shorter than the model's inputs", sample.ID)
		}
		in[i], data = data[:size:size], data[size:]
	}
	return in, nil
}

func (s *Server) deleteSample(w http.ResponseWriter, r *http.Request) error {
	id, err := s.sampleID(r)
	if err != nil {
		return err
	}
	n, err := s.cfg.Store.Delete(r.PathValue("model"), id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]int{"deleted": n})
	return nil
}

// purgeSamples deletes all samples of a model and removes their bytes from the
// log's files.
func (s *Server) purgeSamples(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	if _, err := s.repo.entry(name); err != nil {
		return err
	}
	n, err := s.cfg.Store.Purge(name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]int{"deleted": n})
	return nil
}

// inputsOf returns the model's input tensors that a sample stands for.
func (s *Server) inputsOf(m Model, sample *store.Sample) ([][]byte, error) {
	if sample.Media != "" {
		return s.decode(m, sample.Media, sample.Data)
	}
	return splitInputs(sample, m.Inputs())
}

// decode is Model.Decode, for one picture or sound at a time: a few bytes can
// become very many.
func (s *Server) decode(m Model, media string, body []byte) ([][]byte, error) {
	s.decoding.Lock()
	defer s.decoding.Unlock()
	return m.Decode(media, body)
}
