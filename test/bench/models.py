#!/usr/bin/env python3
"""Builds the models that peers.py times: networks of well-known shape with random
weights, as .tflite in float32 and int8, and for each its twin for every other
runtime, made by that runtime's own tools.

    python3 test/bench/models.py --out DIR [--material DIR] [--only PART]

It installs what it needs with pip, best in a virtual environment: several gigabytes
(NNCF and pnnx ask for torch).

A twin is the same float32 network; its int8 form is the other runtime's own:
quantize_static for onnxruntime (QDQ, unsigned activations, signed weights per
channel: its fast path on x86) and NNCF for OpenVINO. MNN and ncnn run float32, their
fastest precision, beside int8 too: ncnn's quantizer is not in its package, MNN's
ends there with a C++ exception, and what MNN converts from an int8 .tflite crashes
or refuses to run. The .tflite of --material that exist in int8 alone get an ONNX
twin of the same quantized graph.
DIR/index.json lists what was made; a twin that could not be made is named there
with the reason, and the program goes on.

Speed does not depend on the values of weights as long as activations neither
vanish nor overflow: batch normalization gets the statistics of random data.
"""
import argparse, glob, importlib.util, json, os, subprocess, sys, tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
NEEDS = {"tensorflow": "tensorflow-cpu", "tf2onnx": "tf2onnx", "onnx": "onnx", "onnxruntime": "onnxruntime",
         "openvino": "openvino", "nncf": "nncf", "MNN": "MNN", "pnnx": "pnnx"}
if missing := [p for m, p in NEEDS.items() if importlib.util.find_spec(m) is None]:
    if "--no-install" not in sys.argv:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *missing])

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers as L

CALIBRATION = 8  # samples; the values are random, so more would not change the graphs


# ---- networks -------------------------------------------------------------------------------

def conv_bn(x, filters, kernel, stride=1, act="relu6", depthwise=False):
    if depthwise:
        x = L.DepthwiseConv2D(kernel, stride, "same", use_bias=False)(x)
    else:
        x = L.Conv2D(filters, kernel, stride, "same", use_bias=False)(x)
    x = L.BatchNormalization()(x)
    if act == "relu6":
        x = L.ReLU(6.0)(x)
    elif act == "silu":
        x = L.Activation("swish")(x)
    return x


def mobilenet_v1_025_128():
    return tf.keras.applications.MobileNet((128, 128, 3), alpha=0.25, weights=None)


def mobilenet_v2():
    return tf.keras.applications.MobileNetV2((224, 224, 3), weights=None)


def resnet50():
    return tf.keras.applications.ResNet50(input_shape=(224, 224, 3), weights=None)


def efficientnet_lite0():
    """EfficientNet-Lite0: B0 without squeeze-and-excite, ReLU6 for swish, stem and head not scaled."""
    inp = x = L.Input((224, 224, 3))
    x = conv_bn(x, 32, 3, 2)
    for expand, filters, repeats, stride, kernel in (
            (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
            (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)):
        for i in range(repeats):
            s, skip = (stride if i == 0 else 1), x
            if expand != 1:
                x = conv_bn(x, x.shape[-1] * expand, 1)
            x = conv_bn(x, None, kernel, s, depthwise=True)
            x = conv_bn(x, filters, 1, act=None)
            if i:
                x = L.Add()([skip, x])
    x = L.GlobalAveragePooling2D()(conv_bn(x, 1280, 1))
    return tf.keras.Model(inp, L.Softmax()(L.Dense(1000)(x)))


def yolo_320():
    """The backbone of a nano YOLO (C2f blocks, SiLU, SPPF) at 320x320 with one head per stride; no upsampling."""
    def c2f(x, filters, n, shortcut=True):
        x = conv_bn(x, filters, 1, act="silu")
        a, b = x[..., :filters // 2], x[..., filters // 2:]
        parts = [a, b]
        for _ in range(n):
            y = conv_bn(conv_bn(b, filters // 2, 3, act="silu"), filters // 2, 3, act="silu")
            b = L.Add()([b, y]) if shortcut else y
            parts.append(b)
        return conv_bn(L.Concatenate()(parts), filters, 1, act="silu")

    inp = x = L.Input((320, 320, 3))
    x = conv_bn(x, 16, 3, 2, "silu")
    x = c2f(conv_bn(x, 32, 3, 2, "silu"), 32, 1)
    p3 = x = c2f(conv_bn(x, 64, 3, 2, "silu"), 64, 2)
    p4 = x = c2f(conv_bn(x, 128, 3, 2, "silu"), 128, 2)
    x = c2f(conv_bn(x, 256, 3, 2, "silu"), 256, 1)
    x = y = conv_bn(x, 128, 1, act="silu")
    pools = [x]
    for _ in range(3):
        y = L.MaxPool2D(5, 1, "same")(y)
        pools.append(y)
    p5 = conv_bn(L.Concatenate()(pools), 256, 1, act="silu")
    heads = [L.Conv2D(144, 1)(conv_bn(conv_bn(p, 64, 3, act="silu"), 64, 3, act="silu")) for p in (p3, p4, p5)]
    return tf.keras.Model(inp, heads)


def one_op():
    """Sixteen numbers through one ReLU: what a call costs."""
    inp = L.Input((16,))
    return tf.keras.Model(inp, L.ReLU()(inp))


def layer(size, c, o, kernel=1, stride=1, depthwise=False):
    def make():
        inp = L.Input((size, size, c))
        if depthwise:
            return tf.keras.Model(inp, L.DepthwiseConv2D(kernel, stride, "same", activation="relu")(inp))
        return tf.keras.Model(inp, L.Conv2D(o, kernel, stride, "same", activation="relu")(inp))
    return make


def dense(k, n):
    def make():
        inp = L.Input((k,))
        return tf.keras.Model(inp, L.Dense(n)(inp))
    return make


NETWORKS = {
    "one_op": one_op,
    "mobilenet_v1_025_128": mobilenet_v1_025_128,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_lite0": efficientnet_lite0,
    "resnet50": resnet50,
    "yolo_320": yolo_320,
    "layer_conv3x3_56x56x64_64": layer(56, 64, 64, 3),
    "layer_conv3x3_14x14x256_256": layer(14, 256, 256, 3),
    "layer_conv7x7s2_224x224x3_64": layer(224, 3, 64, 7, 2),
    "layer_conv3x3s2_224x224x3_32": layer(224, 3, 32, 3, 2),
    "layer_gemm_28x28x512_128": layer(28, 512, 128),
    "layer_gemm_14x14x256_1024": layer(14, 256, 1024),
    "layer_gemm_7x7x320_1280": layer(7, 320, 1280),
    "layer_gemm_112x112x16_96": layer(112, 16, 96),
    "layer_gemm_14x14x384_64": layer(14, 384, 64),
    "layer_dense_1280_1000": dense(1280, 1000),
    "layer_dw3x3_112x112x32": layer(112, 32, 32, 3, depthwise=True),
    "layer_dw3x3s2_112x112x96": layer(112, 96, 96, 3, 2, depthwise=True),
    "layer_dw3x3_14x14x576": layer(14, 576, 576, 3, depthwise=True),
    "layer_dw5x5_14x14x672": layer(14, 672, 672, 5, depthwise=True),
}


def settle(model, rng):
    """Gives batch normalizations the statistics of random data."""
    bns = [l for l in model.layers if isinstance(l, L.BatchNormalization)]
    for l in bns:
        l.momentum = 0.0
    if bns:
        model(rng.standard_normal((4,) + model.input_shape[1:]).astype(np.float32), training=True)


def samples(shape):
    rng = np.random.default_rng(2)
    return [rng.standard_normal((1,) + tuple(shape)).astype(np.float32) for _ in range(CALIBRATION)]


def tflite(model, int8):
    one = tf.keras.models.clone_model(model, input_tensors=L.Input(model.input_shape[1:], batch_size=1))
    one.set_weights(model.get_weights())
    c = tf.lite.TFLiteConverter.from_keras_model(one)
    if int8:
        c.optimizations = [tf.lite.Optimize.DEFAULT]
        c.representative_dataset = lambda: ([x] for x in samples(model.input_shape[1:]))
        c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        c.inference_input_type = c.inference_output_type = tf.int8
    return c.convert()


# ---- twins ----------------------------------------------------------------------------------

def run(*cmd, cwd=None):
    p = subprocess.run(cmd, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode:
        raise RuntimeError(f"{os.path.basename(cmd[0])}: exit {p.returncode}: {p.stdout[-500:]}")


def tool(name):
    return os.path.join(os.path.dirname(sys.executable), name)


def onnx_of(src, dst):
    """ONNX of a .tflite; pictures enter and leave as NCHW, the other runtimes' own layout, so that none pays for a transpose."""
    import onnx, tf2onnx
    it = tf.lite.Interpreter(src)
    pictures = lambda details: [d["name"] for d in details if len(d["shape"]) == 4] or None
    m, _ = tf2onnx.convert.from_tflite(src, opset=17, inputs_as_nchw=pictures(it.get_input_details()),
                                       outputs_as_nchw=pictures(it.get_output_details()))
    for i in m.graph.input:  # a batch of one, so that every runtime may plan for it
        i.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(m, dst)


def without_weights_as_inputs(src, dst):
    """Old exporters list weights as inputs too, which keeps runtimes from folding them."""
    import onnx
    m = onnx.load(src)
    weights = {i.name for i in m.graph.initializer}
    inputs = [i for i in m.graph.input if i.name not in weights]
    del m.graph.input[:]
    m.graph.input.extend(inputs)
    onnx.save(m, dst)


def nchw(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def onnx_int8(src, dst, shape):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    import onnx

    class Reader(CalibrationDataReader):
        def __init__(self):
            name = onnx.load(src).graph.input[0].name
            self.it = iter([{name: nchw(x)} for x in samples(shape)])

        def get_next(self):
            return next(self.it, None)

    with tempfile.TemporaryDirectory() as t:
        quant_pre_process(src, t + "/p.onnx", skip_symbolic_shape=True)
        quantize_static(t + "/p.onnx", dst, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def openvino_int8(src, dst, shape):
    import nncf, openvino as ov
    m = nncf.quantize(ov.Core().read_model(src), nncf.Dataset([nchw(x) for x in samples(shape)]), subset_size=CALIBRATION)
    ov.save_model(m, dst)


def mnn_of(src, dst):
    """Calls the extension module: the command mnnconvert wants to install a logger and to send the model's size to its makers."""
    run(sys.executable, "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)", "-f", "ONNX", "--modelFile", src, "--MNNModel", dst + ".tmp", "--bizCode", "bench")
    os.replace(dst + ".tmp", dst)


def ncnn_of(src, dst, shape):
    """By way of onnxruntime's basic optimizations, which fold the paddings that pnnx would drop. pnnx litters: it gets a folder."""
    import onnxruntime as ort
    with tempfile.TemporaryDirectory() as t:
        o = ort.SessionOptions()
        o.graph_optimization_level, o.optimized_model_filepath = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, t + "/m.onnx"
        ort.InferenceSession(src, o)
        shape = list(nchw(np.zeros((1,) + tuple(shape), np.float32)).shape)
        run(tool("pnnx"), "m.onnx", "fp16=0", "inputshape=" + json.dumps(shape).replace(" ", "") + "f32", cwd=t)
        base = dst[:-len(".param")]
        os.replace(t + "/m.ncnn.bin", base + ".bin")
        write(base + ".shape.json", json.dumps(shape[1:]).encode())
        os.replace(t + "/m.ncnn.param", dst)


# ---- what is built --------------------------------------------------------------------------

# Models of the material folder: the float32 file, the int8 file.
MATERIAL = {
    "mlperf_resnet8": ("image_classification__pretrainedResnet", "image_classification__pretrainedResnet_quant"),
    "mlperf_vww": ("visual_wake_words__vww_96_float", "visual_wake_words__vww_96_int8"),
    "mlperf_kws": ("keyword_spotting__kws_ref_model_float32", "keyword_spotting__kws_ref_model"),
    "mlperf_ad": ("anomaly_detection__ad01_fp32", "anomaly_detection__ad01_int8"),
    "coral_mobilenet_v1_025_128": (None, "mobilenet_v1_0.25_128_quant"),
    "coral_mobilenet_v2_224": (None, "mobilenet_v2_1.0_224_quant"),
}

# ONNX models of the material folder, all float32.
ONNX_MATERIAL = {"silero_vad": "silero_vad_openvino_16k", "ultraface_rfb_320": "version-RFB-320_simplified"}


class Index:
    """DIR/index.json: for each model and type the file of each runtime, and the reasons for those that are missing."""

    def __init__(self, out):
        self.path = os.path.join(out, "index.json")
        self.models = {}
        if os.path.exists(self.path):
            with open(self.path) as f:
                self.models = {(m["name"], m["type"]): m for m in json.load(f)}

    def entry(self, name, kind):
        return self.models.setdefault((name, kind), {"name": name, "type": kind, "files": {}, "missing": {}})

    def make(self, e, runtime, path, build):
        """Runs build unless path is there, and notes the outcome."""
        try:
            if not os.path.exists(path):
                build()
            e["files"][runtime] = os.path.abspath(path)
            e["missing"].pop(runtime, None)
        except Exception as err:
            e["files"].pop(runtime, None)
            e["missing"][runtime] = f"{type(err).__name__}: {err}"[-400:]
            print(f"  NO {runtime}: {e['missing'][runtime]}", flush=True)
        with open(self.path + ".tmp", "w") as f:
            json.dump(list(self.models.values()), f, indent=1)
        os.replace(self.path + ".tmp", self.path)
        return runtime in e["files"]


def twins(ix, base, f32, int8, source, shape):
    """Files of the other runtimes from the float32 .tflite source; f32 and int8 are the entries they belong to."""
    onnx = base + ".onnx"
    if not ix.make(f32, "onnxruntime", onnx, lambda: onnx_of(source, onnx)):
        for e in (f32, int8):
            e["missing"].update({r: "no ONNX twin" for r in ("onnxruntime", "openvino", "mnn", "ncnn") if r not in e["missing"]})
        return
    f32["files"]["openvino"] = f32["files"]["onnxruntime"]
    ix.make(int8, "onnxruntime", base + "_int8.onnx", lambda: onnx_int8(onnx, base + "_int8.onnx", shape))
    ix.make(int8, "openvino", base + "_int8.xml", lambda: openvino_int8(onnx, base + "_int8.xml", shape))
    for runtime, path, build in (("mnn", base + ".mnn", lambda: mnn_of(onnx, base + ".mnn")),
                                 ("ncnn", base + ".param", lambda: ncnn_of(onnx, base + ".param", shape))):
        if ix.make(f32, runtime, path, build):
            ix.make(int8, runtime, path, None)


def write(path, data):
    with open(path + ".tmp", "wb") as o:
        o.write(data)
    os.replace(path + ".tmp", path)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--out", required=True, help="folder for the models; what is there already is kept")
    ap.add_argument("--material", help="folder with real .tflite models, whose twins are made too")
    ap.add_argument("--only", default="", help="part of the model's name")
    ap.add_argument("--no-install", action="store_true")
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    ix = Index(a.out)
    for name, (f, q) in MATERIAL.items() if a.material else ():
        if a.only not in name:
            continue
        print(name, flush=True)
        found = {os.path.basename(p)[:-len(".tflite")]: p for p in glob.glob(a.material + "/**/*.tflite", recursive=True) if os.path.isfile(p)}
        base, f32, int8 = os.path.join(a.out, name), ix.entry(name, "f32"), ix.entry(name, "int8")
        int8["files"]["tflite"] = os.path.abspath(found[q])
        if f is None:
            del ix.models[name, "f32"]
            ix.make(int8, "onnxruntime", base + "_int8.onnx", lambda: onnx_of(found[q], base + "_int8.onnx"))
            int8["files"]["openvino"] = int8["files"]["tflite"]  # its own reader of .tflite
        else:
            f32["files"]["tflite"] = os.path.abspath(found[f])
            shape = tf.lite.Interpreter(found[f]).get_input_details()[0]["shape"][1:]
            twins(ix, base, f32, int8, found[f], tuple(int(x) for x in shape))
    for name, file in ONNX_MATERIAL.items() if a.material else ():
        if a.only not in name:
            continue
        print(name, flush=True)
        import onnx
        e, base = ix.entry(name, "f32"), os.path.join(a.out, name)
        src = next(p for p in glob.glob(f"{a.material}/**/{file}.onnx", recursive=True) if os.path.isfile(p))
        if ix.make(e, "onnxruntime", base + ".onnx", lambda: without_weights_as_inputs(src, base + ".onnx")):
            e["files"]["whet"] = e["files"]["openvino"] = e["files"]["onnxruntime"]
            ix.make(e, "mnn", base + ".mnn", lambda: mnn_of(base + ".onnx", base + ".mnn"))
            inputs = onnx.load(base + ".onnx").graph.input
            if len(inputs) == 1:  # what worker.py can feed
                c, h, w = (d.dim_value for d in inputs[0].type.tensor_type.shape.dim[1:])
                ix.make(e, "ncnn", base + ".param", lambda: ncnn_of(base + ".onnx", base + ".param", (h, w, c)))
    for name, make in NETWORKS.items():
        if a.only not in name:
            continue
        print(name, flush=True)
        base, f32, int8 = os.path.join(a.out, name), ix.entry(name, "f32"), ix.entry(name, "int8")
        model = None
        for e, kind in ((f32, "f32"), (int8, "int8")):
            path = f"{base}_{kind}.tflite"
            if model is None and not os.path.exists(path) or not os.path.exists(base + ".shape"):
                tf.keras.utils.set_random_seed(1)
                model = make()
                settle(model, np.random.default_rng(1))
                write(base + ".shape", json.dumps(model.input_shape[1:]).encode())
            ix.make(e, "tflite", path, lambda: write(path, tflite(model, kind == "int8")))
        with open(base + ".shape") as s:
            shape = tuple(json.load(s))
        if "tflite" in f32["files"]:
            twins(ix, base, f32, int8, f32["files"]["tflite"], shape)


if __name__ == "__main__":
    main()
