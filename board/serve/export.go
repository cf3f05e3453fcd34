package serve

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/format"
)

// exportSamples gives all samples of a model as one .npz, which whet tune and
// whet eval read, and NumPy: x in the input's own type and layout, y the class
// numbers, labels what the numbers mean. Labels that the model does not know
// are numbered after those that it does, in alphabetical order.
func (s *Server) exportSamples(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	n, err := s.repo.hold(name, "")
	if err != nil {
		return err
	}
	defer n.release()
	specs := n.Inputs()
	if len(specs) != 1 {
		return refuse(http.StatusConflict, "model %q has %d inputs: an .npz of x and y needs one", name, len(specs))
	}
	descr, ok := npyTypes[specs[0].Type]
	if !ok {
		return refuse(http.StatusConflict, "input %q is %s, which has no .npy form", specs[0].Name, oip.Datatype(specs[0].Type))
	}
	ids, y, labels := s.exportable(name, n)
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name+".npz"))
	w.WriteHeader(http.StatusOK)
	// However slow the client, as long as it reads. Not every writer has a
	// deadline to lift.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	z := zip.NewWriter(w)
	// The reply has begun: an error can only break it off.
	if err := s.writeNpz(z, n, descr, ids, y, labels); err != nil {
		return err
	}
	return z.Close()
}

// exportable returns the samples that have the form of the model's input, their
// class numbers, and the names of the classes.
func (s *Server) exportable(name string, n *instance) (ids []uint64, y []int32, labels []string) {
	labels = slices.Clone(n.Labels())
	var unknown []string
	for l := range s.cfg.Store.Counts(name).Labels {
		if !slices.Contains(labels, l) {
			unknown = append(unknown, l)
		}
	}
	slices.Sort(unknown)
	labels = append(labels, unknown...)
	number := map[string]int32{}
	for i, l := range labels {
		number[l] = int32(i)
	}
	want := form(n.Inputs())
	for after := uint64(0); ; {
		page := s.cfg.Store.List(name, after, maxPage)
		for _, i := range page {
			class, known := number[i.Label]
			if known && (i.Form == want || i.Media != "") {
				ids, y = append(ids, i.ID), append(y, class)
			}
			after = i.ID
		}
		if len(page) < maxPage {
			return ids, y, labels
		}
	}
}

func (s *Server) writeNpz(z *zip.Writer, n *instance, descr string, ids []uint64, y []int32, labels []string) error {
	spec := n.Inputs()[0]
	// A model's batch dimension of 1 is where the samples go.
	row := []int(spec.Shape)
	if len(row) > 0 && row[0] == 1 {
		row = row[1:]
	}
	x, err := stored(z, "x.npy")
	if err != nil {
		return err
	}
	if err := npyHeader(x, descr, append([]int{len(ids)}, row...)); err != nil {
		return err
	}
	for _, id := range ids {
		sample, err := s.cfg.Store.Get(id)
		if err != nil {
			return err
		}
		in, err := s.inputsOf(n, sample)
		if err != nil {
			return err
		}
		if _, err := x.Write(in[0]); err != nil {
			return err
		}
	}
	f, err := stored(z, "y.npy")
	if err != nil {
		return err
	}
	if err := npyHeader(f, "<i4", []int{len(y)}); err != nil {
		return err
	}
	if err := binary.Write(f, binary.LittleEndian, y); err != nil {
		return err
	}
	f, err = stored(z, "labels.txt")
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, strings.Join(labels, "\n")+"\n")
	return err
}

// stored begins an uncompressed file of the archive, as numpy.savez writes them.
func stored(z *zip.Writer, name string) (io.Writer, error) {
	return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
}

var npyTypes = map[format.DType]string{
	format.Bool: "|b1", format.Int8: "|i1", format.Uint8: "|u1", format.Int16: "<i2", format.Uint16: "<u2",
	format.Int32: "<i4", format.Uint32: "<u4", format.Int64: "<i8", format.Uint64: "<u8",
	format.Float16: "<f2", format.Float32: "<f4", format.Float64: "<f8",
}

// npyHeader writes the head of a version 1.0 .npy file (NumPy enhancement
// proposal 1): its length is a multiple of 64.
func npyHeader(w io.Writer, descr string, shape []int) error {
	var dims strings.Builder
	for _, d := range shape {
		dims.WriteString(fmt.Sprintf("%d,", d))
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims.String())
	const magic = "\x93NUMPY\x01\x00"
	pad := 63 - (len(magic)+2+len(dict))%64
	dict += strings.Repeat(" ", pad) + "\n"
	head := binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(dict)))
	_, err := w.Write(append(head, dict...))
	return err
}
