// Package pre turns what people have (pictures, sounds, tables, numpy files)
// into input tensors, by the steps that travel in the model's header, and turns
// scores into names.
//
// # Samples
//
// A sample is an [Array]: a picture is uint8 [h,w,3] (RGB) or [h,w,1], a sound
// float32 [n,channels] in [-1,1) with its rate, a row of a table float32 [n], a
// .npy file what it says.
//
// # Steps
//
// format.Header.Pre lists steps of type [format.Transform], run in their order.
// A step whose Tensor is "" belongs to the first input. An attribute that is
// absent takes its default; one that is unknown is an error.
//
//	image      a picture of any size to the input's size; a vector whose length
//	           is that of a grey or RGB picture of the size is taken for one
//	  size     ints [h,w]; default: the input's own, from its shape [1,h,w,c]
//	  fit      "stretch" (default) | "crop": the largest centred window of the
//	           target's shape, then stretched | "pad", "corner": scaled to fit
//	           and laid into the middle or the upper left, the rest is fill
//	  fill     int, 0 to 255; default 0
//	  filter   "bilinear" (default): 2x2 taps, half-pixel centres
//	           | "antialias": the triangle is as wide as the reduction
//	  order    "rgb" | "bgr" | "gray"; default: "gray" if the input has one
//	           channel, else "rgb"
//	audio      a sound to a vector of samples, channels averaged
//	  rate     int, samples a second (required); another rate is resampled
//	  samples  int; longer sounds keep their middle, shorter ones get zeros on
//	           both sides; default: the input's number of elements
//	  peak     bool, the loudest sample is scaled to 1
//	normalize  real value = (x - mean) * scale, channel by channel
//	  mean     floats, one or one a channel; default 0
//	  scale    floats, one or one a channel; default 1
//
//	mel        a sound to frames of a spectrogram, [frames, bands]; the names and
//	           defaults of librosa's n_fft, win_length, hop_length and so on
//	  rate fft window hop    ints
//	  shape    "hann" | "hamming" | "ones"; center bool, pad "constant" | "reflect"
//	  power    2 | 1; mels int, 0 for the spectrum; low, high in Hz
//	  htk      bool, the mel scale; norm "slaney" | "none"
//	  log      "none" | "db" with ref (0: the largest) and range (top_db)
//	           | "ln", "log10" with add; floor: the least value, 1e-10
//	  mfcc     int, coefficients; lifter
//	micro      a sound to frames of TensorFlow Lite Micro's front end, in its units
//	  rate window step channels low high    milliseconds and Hz; see mel.MicroParams
//	tokenizer  the model's tokenizer, for the steps tokens: package token
//	tokens     a text to numbers
//	  give     "ids" (default) | "mask": 1 where there is a token | "types": 1 in the
//	           second of two texts, else 0
//	  pair     bool, a tab in the text parts it into two
//	  length   int; default: the input's number of elements; longer texts are cut
//	  pad      int, the id behind the text; default 0
//	bytes      a file's bytes: the first and the last ones
//	  begin, end  ints, together the input's number of elements; pad int
//	  strip    bool, white space off both ends before
//	columns    a row of a table to numbers, cell by cell
//	  names    texts, of the columns; a table without a header has 1, 2, 3 and so on
//	  label    text, the name of the column of classes
//	  values   texts COLUMN=VALUE, the values of a column that is not a number: it
//	           becomes as many numbers, 1 for the value that it has, else 0
//	  missing  texts that stand for no value, beside the empty one
//	  fill     floats, one a column: what to put in its place; default: an error
//	  mean, scale  floats, one a column: (x - mean) * scale; default 0 and 1
//	stream     how a long sound is fed piece by piece, for Pieces
//	  hop      int, rows (frames, or samples) from one piece to the next
//	  lead     int, rows of zeros before the first; default: the input's less hop
//
// An input of shape [1,c,h,w] or [c,h,w], with one or three channels, gets its
// picture channel by channel.
//
// # From the last step to the tensor
//
// With a normalize step, or after audio, or for a table without steps, the
// values are real numbers: a quantized tensor takes them through its scale and
// zero point, rounded half to even and saturated.
//
// Pixels that no normalize step made real go to an 8-bit tensor as its own
// codes: uint8 takes p, int8 takes p-128. That is how image networks with 8-bit
// inputs are made throughout: their first quantization was folded away. A float
// tensor takes p as it is, 0 to 255.
//
// A picture is given to a model without steps only if the input is 8-bit of
// shape [1,h,w,1] or [1,h,w,3]: the step image with its defaults is implied. A
// float network's mean and scale cannot be guessed.
//
// # Arrays
//
// A .npy file holds the input in its own type and layout (dimensions of size 1
// aside) and is copied without any step. So are the samples of an .npz that
// have the input's own type, unless it is float32 and the model has steps.
// Other samples of an .npz, and rows of a table, are raw values for the model's
// steps; a model without steps takes float32 as real values.
package pre
