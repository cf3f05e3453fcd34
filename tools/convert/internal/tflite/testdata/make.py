#!/usr/bin/env python3
"""Makes ops.zip: small models, one an operator and option, that TensorFlow's
converter writes, and what LiteRT computes with them.

    pip install tensorflow-cpu ai-edge-litert
    python3 make.py

Beside each NAME.tflite are NAME.in0.npy, ... and NAME.out0.npy, ... in the order of
its inputs and outputs. Weights and inputs are random, with a fixed seed.
"""

import io
import os
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import flatbuffers
import numpy as np
import tensorflow as tf
from flatbuffers import flexbuffers
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.compiler.tf2xla.python import xla
from ai_edge_litert.interpreter import Interpreter

F, I, B = tf.float32, tf.int32, tf.bool
rng = np.random.default_rng(7)


def const(*shape):
    return tf.constant(rng.uniform(-1, 1, shape).astype("f4"))


# --- models: a function, and the shapes and types of its inputs ---

MODELS = {
    "ceil_floor_round": (lambda x: (tf.math.ceil(x * 3), tf.floor(x * 3), tf.round(x * 3)), [((4, 5), F)]),
    "sin_cos_sign": (lambda x: (tf.sin(x), tf.cos(x), tf.sign(x)), [((4, 5), F)]),
    "logical": (lambda a, b: (tf.logical_and(a, b), tf.logical_or(a, b), tf.logical_not(a)), [((4, 5), B), ((4, 5), B)]),
    "compare": (lambda a, b: (a < b, a <= b, a > b, a >= b, tf.equal(a, b), tf.not_equal(a, b)), [((4, 5), F), ((5,), F)]),
    "compare_int": (lambda a, b: (a < b, a >= b, tf.equal(a, b)), [((4, 5), I), ((4, 5), I)]),
    "add_n": (lambda a, b, c: tf.add_n([a, b, c]), [((3, 4), F)] * 3),
    "floor_div": (lambda a, b: (tf.math.floordiv(a, b), tf.math.floormod(a, b)), [((4, 5), F), ((4, 5), F)]),
    "floor_div_int": (lambda a: (a // 3, a % 3, a // -2), [((4, 5), I)]),
    "prelu": (lambda x: tf.keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_uniform")(x), [((1, 4, 5, 3), F)]),
    "reduce": (lambda x: (tf.reduce_min(x, [1]), tf.reduce_prod(x, [0, 2]), tf.reduce_max(x, keepdims=True)), [((3, 4, 2), F)]),
    "reduce_bool": (lambda x: (tf.reduce_any(x, 1), tf.reduce_all(x, 0)), [((4, 5), B)]),
    "arg": (lambda x: (tf.argmax(x, 1), tf.argmin(x, 2, output_type=I)), [((3, 4, 5), F)]),
    "top_k": (lambda x: tf.math.top_k(x, 3), [((4, 7), F)]),
    "cumsum": (lambda x: (tf.cumsum(x, 1), tf.cumsum(x, 0, exclusive=True), tf.cumsum(x, 1, reverse=True)), [((4, 5), F)]),
    "one_hot": (lambda x: (tf.one_hot(x, 5), tf.one_hot(x, 4, 2.0, -1.0, axis=0)), [((3, 2), I)]),
    "select": (lambda c, a, b: tf.where(c, a, b), [((4, 5), B), ((4, 5), F), ((4, 5), F)]),
    "select_broadcast": (lambda c, a, b: tf.where(c, a, b), [((4, 1), B), ((5,), F), ((4, 5), F)]),
    "batch_matmul": (lambda a, b: (tf.matmul(a, b), tf.matmul(a, a, transpose_b=True), tf.matmul(a, a, transpose_a=True)), [((2, 3, 4), F), ((2, 4, 5), F)]),
    "l2_normalization": (lambda x: tf.math.l2_normalize(x, -1, epsilon=1e-6), [((3, 6), F)]),
    "lrn": (lambda x: tf.nn.local_response_normalization(x, 2, 1.5, 0.3, 0.75), [((1, 3, 4, 8), F)]),
    "atan2": (lambda y, x: tf.atan2(y, x), [((5, 6), F), ((5, 6), F)]),
    "space_depth": (lambda x: (tf.nn.space_to_depth(x, 2), tf.nn.depth_to_space(x, 2)), [((1, 4, 6, 8), F)]),
    "space_to_batch": (lambda x: tf.space_to_batch(x, [2, 3], [[0, 1], [2, 0]]), [((2, 5, 4, 3), F)]),
    "batch_to_space": (lambda x: tf.batch_to_space(x, [2, 2], [[0, 1], [1, 0]]), [((8, 3, 4, 2), F)]),
    "dilated_conv": (lambda x: tf.nn.conv2d(x, W_DILATED, 1, "SAME", dilations=2), [((1, 9, 8, 3), F)]),
    "tile": (lambda x: tf.tile(x, [2, 1, 3]), [((2, 3, 2), F)]),
    "broadcast_to": (lambda x: tf.broadcast_to(x, [3, 4, 5]), [((4, 1), F)]),
    "shape_rank": (lambda x: (tf.reshape(x, tf.concat([tf.shape(x)[1:], [3]], 0)), x * tf.cast(tf.rank(x), F)), [((3, 2, 4), F)]),
    "range_fill": (lambda x: x + tf.range(0.0, 5.0) + tf.fill([5], 2.0) + tf.zeros_like(x), [((4, 5), F)]),
    "reverse": (lambda x: tf.reverse(x, [1, 2]), [((3, 4, 2), F)]),
    "reverse_sequence": (lambda x: tf.reverse_sequence(x, [3, 1, 4], seq_axis=1, batch_axis=0), [((3, 4, 2), F)]),
    "gather_nd": (lambda x: tf.gather_nd(x, [[0, 1], [2, 3]]), [((3, 4, 2), F)]),
    "gather_batch": (lambda x, i: tf.gather(x, i, batch_dims=1, axis=1), [((3, 4, 2), F), ((3, 2), I)]),
    "scatter_nd": (lambda u: tf.scatter_nd([[1], [3], [1]], u, [5, 2]), [((3, 2), F)]),
    "update_slice": (lambda x, u: xla.dynamic_update_slice(x, u, [1, 9]), [((4, 5), F), ((2, 3), F)]),
    "mirror_pad": (lambda x: (tf.pad(x, [[1, 2], [0, 1]], "REFLECT"), tf.pad(x, [[1, 2], [3, 1]], "SYMMETRIC")), [((4, 5), F)]),
    "resize_bilinear": (lambda x: tf.compat.v1.image.resize_bilinear(x, [7, 5]), [((1, 4, 6, 2), F)]),
    "resize_bilinear_half": (lambda x: tf.image.resize(x, [7, 5]), [((1, 4, 6, 2), F)]),
    "resize_bilinear_corners": (lambda x: tf.compat.v1.image.resize_bilinear(x, [7, 5], align_corners=True), [((1, 4, 6, 2), F)]),
    "resize_nearest": (lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, [7, 5]), [((1, 4, 6, 2), F)]),
    "resize_nearest_half": (lambda x: tf.image.resize(x, [7, 5], "nearest"), [((1, 4, 6, 2), F)]),
    "resize_nearest_corners": (lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, [7, 5], align_corners=True), [((1, 4, 6, 2), F)]),
    "transpose_conv_same": (lambda x: tf.nn.conv2d_transpose(x, W_TRANSPOSE, [1, 8, 15, 4], [2, 3], "SAME"), [((1, 4, 5, 3), F)]),
    "transpose_conv_valid": (lambda x: tf.nn.relu(tf.nn.conv2d_transpose(x, W_TRANSPOSE, [1, 9, 11, 4], 2, "VALID") + B_TRANSPOSE), [((1, 4, 5, 3), F)]),
    "conv_3d": (lambda x: tf.nn.conv3d(x, W_VOLUME, [1, 2, 1, 2, 1], "SAME"), [((1, 5, 6, 7, 2), F)]),
    "leaky_relu": (lambda x: tf.nn.leaky_relu(x, 0.3), [((4, 5), F)]),
    "lstm": (lambda x: tf.keras.layers.LSTM(4, bias_initializer="random_uniform")(x), [((1, 5, 3), F)]),
    "suppression": (lambda b, s: tf.raw_ops.NonMaxSuppressionV4(boxes=tf.concat([b, b + tf.abs(b) + 0.5], 1), scores=s, max_output_size=6, iou_threshold=0.3, score_threshold=-0.5, pad_to_max_output_size=True), [((12, 2), F), ((12,), F)]),
    "suppression_scores": (lambda b, s: tf.raw_ops.NonMaxSuppressionV5(boxes=tf.concat([b, b + tf.abs(b) + 0.5], 1), scores=s, max_output_size=6, iou_threshold=0.3, score_threshold=-0.5, soft_nms_sigma=0.0, pad_to_max_output_size=True), [((12, 2), F), ((12,), F)]),
    "if": (lambda c, x: tf.cond(tf.reduce_all(c), lambda: x * 2.0 + W_ROW, lambda: tf.nn.relu(x) - 1.0), [((1,), B), ((2, 5), F)]),
    "while": (lambda n, x: tf.while_loop(lambda i, y: i < tf.reshape(n, []), lambda i, y: (i + 1, y * 1.5 + W_ROW), (0, x))[1], [((1,), I), ((2, 5), F)]),
}
W_DILATED = const(3, 3, 3, 4)
W_TRANSPOSE, B_TRANSPOSE = const(3, 3, 4, 3), const(4)
W_VOLUME = const(2, 3, 3, 2, 3)
W_ROW = const(5)
W_DENSE = tf.constant(np.where(rng.random((16, 64)) < 0.1, rng.uniform(-1, 1, (16, 64)), 0).astype("f4"))

# Models that are quantized to int8 with samples, from and to floats or codes.
QUANTIZED = {
    "q_transpose_conv": MODELS["transpose_conv_valid"],
    "q_resize_bilinear": MODELS["resize_bilinear_half"],
    "q_resize_nearest": MODELS["resize_nearest"],
    "q_prelu": MODELS["prelu"],
    "q_batch_matmul": (lambda a, b: tf.matmul(a, b), [((2, 3, 4), F), ((2, 4, 5), F)]),
    "q_space_depth": (lambda x: tf.nn.space_to_depth(x, 2), [((1, 4, 6, 8), F)]),
    "q_leaky_relu": MODELS["leaky_relu"],
    "q_l2_normalization": MODELS["l2_normalization"],
    "q_dilated_conv": MODELS["dilated_conv"],
    "q_arg": (lambda x: tf.argmax(x, 1), [((3, 4, 5), F)]),
    "q_mirror_pad": (lambda x: tf.pad(x, [[1, 2], [0, 1]], "REFLECT"), [((4, 5), F)]),
}


def layer_model(f, inputs):
    """Layers with variables have to be made outside of the function."""
    ins = [tf.keras.Input(s[1:], batch_size=s[0], dtype=t) for s, t in inputs]
    return tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(ins, f(*ins)))


def make(name, f, inputs):
    if any(k in name for k in ("prelu", "lstm")):
        return layer_model(f, inputs)
    return tf.lite.TFLiteConverter.from_concrete_functions([tf.function(f, input_signature=[tf.TensorSpec(s, t) for s, t in inputs]).get_concrete_function()])


def sample(shape, dtype, rng):
    if dtype == B or dtype == np.bool_:
        return rng.random(shape) < 0.6
    if dtype == I or dtype == np.int32:
        return rng.integers(0, 2, shape).astype("i4") if shape[-1] == 2 else rng.integers(-7 if len(shape) > 1 else 1, 8, shape).astype("i4")
    return rng.normal(0, 1, shape).astype("f4")


def npy(x):
    b = io.BytesIO()
    np.save(b, np.asarray(x, order="C"))
    return b.getvalue()


def add(z, name, data):
    z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)


def vectors(z, name, model):
    it = Interpreter(model_content=model, num_threads=1)
    it.allocate_tensors()
    rng = np.random.default_rng(len(name) * 1000 + sum(map(ord, name)))
    add(z, name + ".tflite", model)
    for i, d in enumerate(it.get_input_details()):
        if d["dtype"] == np.int8:
            x = rng.integers(-128, 128, d["shape"]).astype("i1")
        else:
            x = sample(d["shape"], d["dtype"], rng)
        it.set_tensor(d["index"], x)
        add(z, f"{name}.in{i}.npy", npy(x))
    it.invoke()
    for i, d in enumerate(it.get_output_details()):
        add(z, f"{name}.out{i}.npy", npy(it.get_tensor(d["index"])))


def quantize(c, inputs):
    r = np.random.default_rng(3)
    c.optimizations = [tf.lite.Optimize.DEFAULT]
    c.representative_dataset = lambda: ([sample(s, t, r) for s, t in inputs] for _ in range(20))
    c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    c.inference_input_type = c.inference_output_type = tf.int8


class Built:
    """A model of one custom operator, which has no converter."""

    def __init__(self, model):
        self.model = model

    def convert(self):
        b = flatbuffers.Builder(0)
        b.Finish(self.model.Pack(b), b"TFL3")
        return bytes(b.Output())


def build(tensors, ops, inputs, outputs):
    """A model by hand: tensors by name are (shape, type, value or None); an operator
    is (code, inputs, outputs, change), where change sets more of it."""
    m, g = schema.ModelT(), schema.SubGraphT()
    m.version, m.operatorCodes, m.subgraphs, m.buffers = 3, [], [g], [schema.BufferT()]
    names = list(tensors)
    g.tensors, g.operators = [], []
    for name, (shape, kind, value) in tensors.items():
        t = schema.TensorT()
        t.name, t.shape, t.type, t.buffer = name, list(shape), kind, 0
        if value is not None:
            t.buffer = len(m.buffers)
            m.buffers.append(schema.BufferT())
            m.buffers[-1].data = np.frombuffer(value.tobytes(), np.uint8)
        g.tensors.append(t)
    for number, ins, outs, change in ops:
        o, code = schema.OperatorT(), schema.OperatorCodeT()
        code.version = 1
        if isinstance(number, str):
            code.customCode, number = number, schema.BuiltinOperator.CUSTOM
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        o.opcodeIndex = len(m.operatorCodes)
        m.operatorCodes.append(code)
        o.inputs, o.outputs = [names.index(i) for i in ins], [names.index(i) for i in outs]
        change(o)
        g.operators.append(o)
    g.inputs, g.outputs = [names.index(i) for i in inputs], [names.index(i) for i in outputs]
    return Built(m)


FLOAT, INT = schema.TensorType.FLOAT32, schema.TensorType.INT32


def detection(regular):
    """A detector's postprocessing: boxes, scores, anchors."""
    n, classes = 20, 3
    anchors = np.concatenate([rng.uniform(0.2, 0.8, (n, 2)), rng.uniform(0.1, 0.4, (n, 2))], 1).astype("f4")
    options = {"max_detections": 6, "max_classes_per_detection": 1, "detections_per_class": 5, "nms_score_threshold": 0.1, "nms_iou_threshold": 0.4,
               "num_classes": classes, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0, "use_regular_nms": regular}
    f = flexbuffers.Builder()
    with f.Map():
        for k, v in options.items():
            f.Key(k)
            (f.Bool if isinstance(v, bool) else f.Int if isinstance(v, int) else f.Float)(v)
    raw = np.frombuffer(bytes(f.Finish()), np.uint8)
    tensors = {"boxes": ((1, n, 4), FLOAT, None), "scores": ((1, n, classes + 1), FLOAT, None), "anchors": ((n, 4), FLOAT, anchors),
               "best": ((1, 6, 4), FLOAT, None), "class": ((1, 6), FLOAT, None), "score": ((1, 6), FLOAT, None), "count": ((1,), FLOAT, None)}
    outs = ["best", "class", "score", "count"]
    return build(tensors, [("TFLite_Detection_PostProcess", ["boxes", "scores", "anchors"], outs, lambda o: setattr(o, "customOptions", raw))], ["boxes", "scores"], outs)


def by_hand():
    """Operators that the converter computes or does not write."""
    op, options = schema.BuiltinOperator, schema.BuiltinOptions

    def plain(o):
        pass

    def with_options(kind, value):
        def change(o):
            o.builtinOptionsType, o.builtinOptions = kind, value
        return change

    pool = schema.Pool2DOptionsT()
    pool.padding, pool.strideW, pool.strideH, pool.filterWidth, pool.filterHeight = schema.Padding.VALID, 2, 1, 3, 2
    i32 = lambda *v: np.array(v, np.int32)
    yield "embedding_lookup", build({"at": ((3,), INT, None), "table": ((9, 4), FLOAT, np.asarray(const(9, 4))), "y": ((3, 4), FLOAT, None)},
        [(op.EMBEDDING_LOOKUP, ["at", "table"], ["y"], plain)], ["at"], ["y"])
    yield "l2_pool", build({"x": ((1, 4, 6, 2), FLOAT, None), "y": ((1, 3, 2, 2), FLOAT, None)}, [(op.L2_POOL_2D, ["x"], ["y"], with_options(options.Pool2DOptions, pool))], ["x"], ["y"])
    yield "fill", build({"x": ((), FLOAT, None), "dims": ((2,), INT, i32(2, 3)), "y": ((2, 3), FLOAT, None)}, [(op.FILL, ["dims", "x"], ["y"], plain)], ["x"], ["y"])
    yield "range", build({"x": ((4,), INT, None), "a": ((), INT, i32(2)), "b": ((), INT, i32(10)), "c": ((), INT, i32(2)), "r": ((4,), INT, None), "y": ((4,), INT, None)},
        [(op.RANGE, ["a", "b", "c"], ["r"], plain), (op.ADD, ["x", "r"], ["y"], with_options(options.AddOptions, schema.AddOptionsT()))], ["x"], ["y"])
    yield "shape", build({"x": ((2, 3), INT, None), "s": ((2,), INT, None), "r": ((), INT, None), "z": ((2, 3), INT, None), "a": ((2,), INT, None), "v": ((2,), INT, None), "y": ((2,), INT, None), "w": ((2, 3), INT, None)},
        [(op.SHAPE, ["x"], ["s"], with_options(options.ShapeOptions, shape_options())), (op.RANK, ["x"], ["r"], plain), (op.ZEROS_LIKE, ["x"], ["z"], plain),
         (op.ADD, ["v", "s"], ["a"], with_options(options.AddOptions, schema.AddOptionsT())), (op.ADD, ["a", "r"], ["y"], with_options(options.AddOptions, schema.AddOptionsT())),
         (op.ADD, ["x", "z"], ["w"], with_options(options.AddOptions, schema.AddOptionsT()))], ["x", "v"], ["y", "w"])
    yield "sparse_to_dense", build({"v": ((2,), FLOAT, None), "at": ((2, 2), INT, i32(0, 1, 2, 3)), "shape": ((2,), INT, i32(4, 5)), "d": ((), FLOAT, np.float32(0.5)), "y": ((4, 5), FLOAT, None)},
        [(op.SPARSE_TO_DENSE, ["at", "shape", "v", "d"], ["y"], with_options(options.SparseToDenseOptions, schema.SparseToDenseOptionsT()))], ["v"], ["y"])


def shape_options():
    o = schema.ShapeOptionsT()
    o.outType = INT
    return o


def signatures():
    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((2, 3), F)])
        def double(self, x):
            return {"y": x * 2.0}

        @tf.function(input_signature=[tf.TensorSpec((4,), F)])
        def negate(self, x):
            return {"y": -x}

    m = Two()
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "two_signatures")
    tf.saved_model.save(m, path, signatures={"double": m.double, "negate": m.negate})
    return tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=["double", "negate"])


def main():
    jobs = [(n, lambda n=n, f=f, i=i: make(n, f, i)) for n, (f, i) in MODELS.items()]

    def quantized(n, f, i):
        c = make(n, f, i)
        quantize(c, i)
        return c

    def half():
        c = make("half", lambda x: tf.nn.relu(tf.matmul(x, W_DENSE, transpose_b=True)), [((2, 64), F)])
        c.optimizations, c.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
        return c

    def sparse(half):
        c = make("sparse", lambda x: tf.nn.relu(tf.matmul(x, W_DENSE, transpose_b=True)), [((2, 64), F)])
        c.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
        if half:
            c.optimizations.append(tf.lite.Optimize.DEFAULT)
            c.target_spec.supported_types = [tf.float16]
        return c

    jobs += [(n, lambda n=n, f=f, i=i: quantized(n, f, i)) for n, (f, i) in QUANTIZED.items()]
    jobs += [("half", half), ("sparse", lambda: sparse(False)), ("sparse_half", lambda: sparse(True)),
             ("detection", lambda: detection(False)), ("detection_regular", lambda: detection(True)), ("signatures", signatures)]
    jobs += [(n, lambda m=m: m) for n, m in by_hand()]
    only = sys.argv[1:]
    with zipfile.ZipFile("ops.zip", "w") as z:
        for name, job in jobs:
            if only and name not in only:
                continue
            tf.keras.utils.set_random_seed(1)
            try:
                vectors(z, name, job().convert())
            except Exception as e:
                print("FAILED", name, type(e).__name__, str(e).strip().splitlines()[0][:200], file=sys.stderr)


main()
