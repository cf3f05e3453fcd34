// Package oip is the wire form of the Open Inference Protocol, version 2, over
// HTTP: inference requests and replies in JSON, with Triton's extensions for
// binary tensors and for classification.
//
// It knows nothing of models or sockets. What it is given may come from
// anybody: every length is checked before anything is allocated for it, and
// what it does not understand it refuses rather than ignores.
package oip

import (
	"fmt"
	"net/http"

	"github.com/whet-edge/whet/format"
)

// HeaderLength is the HTTP header that tells how many bytes of a body are JSON
// when binary tensors follow it (binary tensor data extension).
const HeaderLength = "Inference-Header-Content-Length"

// A Spec is one tensor that a model takes or gives.
type Spec struct {
	Name  string
	Type  format.DType
	Shape format.Shape
	Quant *format.Quant
}

// Bytes returns the size of the tensor's value, or -1 if a dimension is
// symbolic.
func (s *Spec) Bytes() int {
	n := s.Shape.Elems()
	if n < 0 {
		return -1
	}
	return s.Type.Bytes(n)
}

// An Error is a request that is refused, with the HTTP status that says why.
type Error struct {
	Status int
	Msg    string
}

func (e *Error) Error() string { return e.Msg }

// Errorf makes an [Error].
func Errorf(status int, f string, args ...any) *Error {
	return &Error{Status: status, Msg: fmt.Sprintf(f, args...)}
}

func bad(f string, args ...any) *Error { return Errorf(http.StatusBadRequest, f, args...) }

// datatypes are the protocol's names of the types that can be at the edge of a
// model. "BF16" is not in the REST specification but in its gRPC twin and in
// Triton; like FP16 it has no JSON form and travels as a binary tensor only.
var datatypes = map[format.DType]string{
	format.Bool: "BOOL", format.Uint8: "UINT8", format.Uint16: "UINT16", format.Uint32: "UINT32", format.Uint64: "UINT64",
	format.Int8: "INT8", format.Int16: "INT16", format.Int32: "INT32", format.Int64: "INT64",
	format.Float16: "FP16", format.BFloat16: "BF16", format.Float32: "FP32", format.Float64: "FP64",
}

// Datatype returns the protocol's name of a type, or "" if it has none.
func Datatype(t format.DType) string { return datatypes[t] }

// TensorMetadata describes a tensor in a model's metadata. A dimension that
// may vary is -1. Parameters is an addition to the protocol: it carries the
// scale and zero point of a quantized tensor, without which a client could not
// make sense of its integers.
type TensorMetadata struct {
	Name       string         `json:"name"`
	Datatype   string         `json:"datatype"`
	Shape      []int          `json:"shape"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

// Metadata returns the specs in the form that model metadata has.
func Metadata(specs []Spec) []TensorMetadata {
	out := make([]TensorMetadata, len(specs))
	for i := range specs {
		s := &specs[i]
		t := TensorMetadata{Name: s.Name, Datatype: Datatype(s.Type), Shape: make([]int, len(s.Shape))}
		for j, d := range s.Shape {
			t.Shape[j] = max(d, -1)
		}
		if s.Quant != nil && len(s.Quant.Scale) == 1 {
			t.Parameters = map[string]any{"scale": s.Quant.Scale[0], "zero_point": s.Quant.ZeroPoint()}
		}
		out[i] = t
	}
	return out
}

// ModelMetadata is the reply to GET /v2/models/{model}.
type ModelMetadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions,omitempty"`
	Platform string           `json:"platform"`
	Inputs   []TensorMetadata `json:"inputs"`
	Outputs  []TensorMetadata `json:"outputs"`
}

// ServerMetadata is the reply to GET /v2.
type ServerMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// ModelIndex is one row of the reply to POST /v2/repository/index (model
// repository extension).
type ModelIndex struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
}
