package convert

import (
	"fmt"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/stream"
)

// A StreamOutput says how an output of a streaming network relates to the batch's.
type StreamOutput = stream.Output

// Stream turns a network over a whole sequence into one that takes it in chunks of so
// many frames of an input's axis, and keeps in states what its layers need of the
// past. The model must have been imported with a size of that axis that its layers
// fit in several times: on a noise of that length the streaming network must give the
// same bits as m, or the conversion fails. compared is how many frames did.
//
// What sees the whole sequence is an error that names the node.
func Stream(m *format.Model, input string, axis, frames int) (s *format.Model, outs []StreamOutput, compared int, err error) {
	s, outs, err = stream.Convert(m, input, axis, frames)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("the network cannot be streamed: %w", err)
	}
	if compared, err = stream.Check(m, s, input, axis, outs); err != nil {
		return nil, nil, 0, fmt.Errorf("the streaming network is not the batch one: %w", err)
	}
	s.Header.Source.Note += fmt.Sprintf("streaming: %d frames of %s in a run", frames, input)
	return s, outs, compared, nil
}
