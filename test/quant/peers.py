#!/usr/bin/env python3
"""The table of test/quant with LiteRT's own quantizer beside whet's.

    pip install ai-edge-litert ai-edge-quantizer numpy
    python3 test/quant/peers.py --material DIR

Both quantizers see the same calibration samples, and their models are measured
on the same other samples. Exits as test/quant does.
"""
import argparse, json, os, subprocess, sys, tempfile
import numpy as np
import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIGNATURE = "serving_default"


def with_signature(path, out):
    """The quantizer takes models with a signature only; older ones get one."""
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


def outputs(path, x):
    it = Interpreter(model_path=path)
    it.allocate_tensors()
    i, o = it.get_input_details()[0], it.get_output_details()[0]
    rows = []
    for a in x:
        if i["dtype"] != np.float32:
            scale, zero = i["quantization"]
            info = np.iinfo(i["dtype"])
            a = np.clip(np.rint(a / np.float32(scale)) + zero, info.min, info.max).astype(i["dtype"])
        it.set_tensor(i["index"], a.reshape(i["shape"]))
        it.invoke()
        y = it.get_tensor(o["index"])
        if o["dtype"] != np.float32:
            scale, zero = o["quantization"]
            y = (y.astype(np.float32) - zero) * np.float32(scale)
        rows.append(y.reshape(-1))
    return np.stack(rows)


def quantized(model, at):
    """The outputs for the evaluation samples of what LiteRT makes of a model."""
    with_signature(model, at(".tflite"))
    q = quantizer.Quantizer(at(".tflite"))
    q.load_quantization_recipe(recipe.static_wi8_ai8())
    it = Interpreter(model_path=at(".tflite"))
    shape = it.get_input_details()[0]["shape"]
    samples = [{"input0": s.reshape(shape)} for s in np.load(at(".calibration.npy"))]
    q.quantize(q.calibrate({SIGNATURE: samples})).export_model(at(".int8.tflite"))
    return outputs(at(".int8.tflite"), np.load(at(".eval.npy")))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--material", required=True)
    a = ap.parse_args()
    table = lambda *args: subprocess.run(["go", "run", "./test/quant", "--material", os.path.abspath(a.material), *args], cwd=ROOT).returncode
    with tempfile.TemporaryDirectory() as tmp:
        if table("--export", tmp):
            sys.exit(1)
        with open(os.path.join(tmp, "index.json")) as f:
            index = json.load(f)
        for entry in index:
            at = lambda name: os.path.join(tmp, entry["files"] + name)
            try:
                np.save(at(".litert.npy"), quantized(os.path.join(a.material, entry["model"]), at))
            except (RuntimeError, ValueError, NotImplementedError) as e:
                print(f"{entry['model']}: LiteRT cannot quantize it or run the result: {e}", file=sys.stderr)
        sys.exit(table("--peers", tmp))


if __name__ == "__main__":
    main()
