package tflite

import "github.com/whet-edge/whet/format"

// The numbers in this file are those of the TensorFlow Lite schema, version 3
// (schema.fbs): field numbers of its tables, and values of its enums.

// Fields of the tables that describe a model.
const (
	modelVersion  = 0
	modelCodes    = 1
	modelGraphs   = 2
	modelBuffers  = 4
	modelMetadata = 6

	modelSignatures = 7
	signatureKey    = 2
	signatureGraph  = 4

	codeDeprecated = 0
	codeCustom     = 1
	codeVersion    = 2
	codeBuiltin    = 3

	graphTensors   = 0
	graphInputs    = 1
	graphOutputs   = 2
	graphOperators = 3
	graphName      = 4

	tensorShape    = 0
	tensorType     = 1
	tensorBuffer   = 2
	tensorName     = 3
	tensorQuant    = 4
	tensorVariable = 5
	tensorSparsity = 6

	quantScale     = 2
	quantZero      = 3
	quantDetails   = 4
	quantDimension = 6

	operatorCode          = 0
	operatorInputs        = 1
	operatorOutputs       = 2
	operatorOptions       = 4
	operatorCustom        = 5
	operatorIntermediates = 8

	bufferData   = 0
	bufferOffset = 1
	bufferSize   = 2

	metadataName   = 0
	metadataBuffer = 1
)

// Values of Padding.
const (
	padSame  = 0
	padValid = 1
)

// Values of ActivationFunctionType.
const (
	actNone    = 0
	actRelu    = 1
	actReluN1  = 2
	actRelu6   = 3
	actTanh    = 4
	actSignBit = 5
)

// typeResource is the TensorType of a handle of a variable: it has no bytes.
const typeResource = 13

// dtypes are the values of TensorType that whet has.
var dtypes = map[int8]format.DType{
	0: format.Float32, 1: format.Float16, 2: format.Int32, 3: format.Uint8, 4: format.Int64,
	6: format.Bool, 7: format.Int16, 9: format.Int8, 10: format.Float64, 12: format.Uint64,
	15: format.Uint32, 16: format.Uint16, 17: format.Int4, 18: format.BFloat16,
}

// opCustom is the BuiltinOperator of all operators that have only a name.
const opCustom = 32

// opNames are the names of the values of BuiltinOperator.
var opNames = [...]string{
	"ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE",
	"DEQUANTIZE", "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP",
	"L2_NORMALIZATION", "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION",
	"LSTM", "MAX_POOL_2D", "MUL", "RELU", "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR",
	"RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH", "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL",
	"CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD", "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER",
	"BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB", "DIV", "SQUEEZE",
	"UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP", "TOPK_V2",
	"SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM",
	"ARG_MAX", "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT",
	"SLICE", "SIN", "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL",
	"LOG", "SUM", "SQRT", "RSQRT", "SHAPE", "POW", "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD",
	"REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT", "LOGICAL_AND", "LOGICAL_NOT", "UNPACK",
	"REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL", "FLOOR_MOD", "RANGE",
	"RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS", "SPLIT_V",
	"UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
	"REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF",
	"WHILE", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2",
	"DENSIFY", "SEGMENT_SUM", "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM",
	"CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D", "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE",
	"HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE", "REDUCE_ALL", "CONV_3D_TRANSPOSE",
	"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "BROADCAST_ARGS", "RANDOM_STANDARD_NORMAL",
	"BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU", "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1",
	"UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "ATAN2",
	"UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST", "BITWISE_XOR", "RIGHT_SHIFT",
}
