"""Whose float32 is nearer to the truth: a model in float64, beside whet and onnxruntime.

    pip install onnx onnxruntime numpy
    python3 test/models/truth.py MODEL.onnx MODEL.whet INPUT.npy ... [--whet build/whet]

The truth is onnx's reference evaluator on the model with all its float32 made float64. Printed for every output: the largest
error of each runtime against the truth, and their distance from each other, all over the output's largest value; and the
largest distance where an element of at least a hundredth of that value is compared with its own size.
"""
import argparse, json, pathlib, subprocess, tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator


def double(path):
    """The model with float64 in place of float32."""
    m = onnx.load(path)
    wide = lambda t: t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name)) if t.data_type == TensorProto.FLOAT else None
    for t in m.graph.initializer:
        wide(t)
    for v in [*m.graph.input, *m.graph.output]:
        if v.type.tensor_type.elem_type == TensorProto.FLOAT:
            v.type.tensor_type.elem_type = TensorProto.DOUBLE
    del m.graph.value_info[:]
    for n in m.graph.node:
        for a in n.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                wide(a.t)
            if n.op_type == "Cast" and a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.DOUBLE
    return m


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("model")
    a.add_argument("whet_model")
    a.add_argument("inputs", nargs="+")
    a.add_argument("--whet", default="whet", help="the program")
    o = a.parse_args()
    quiet = ort.SessionOptions()
    quiet.log_severity_level = 3
    s = ort.InferenceSession(o.model, quiet, providers=["CPUExecutionProvider"])
    names = [i.name for i in s.get_inputs()]
    feed = dict(zip(names, map(np.load, o.inputs)))
    theirs = s.run(None, feed)
    wide = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in feed.items()}
    truth = dict(zip([v.name for v in s.get_outputs()], ReferenceEvaluator(double(o.model)).run(None, wide)))
    with tempfile.TemporaryDirectory() as d:
        subprocess.run([o.whet, "run", o.whet_model, *sum((["--input", f"{n}={f}"] for n, f in zip(names, o.inputs)), []), "--output-dir", d], check=True, capture_output=True)
        infos = json.loads(subprocess.run([o.whet, "inspect", o.whet_model, "--json"], check=True, capture_output=True).stdout)["outputs"]
        ours = {v["name"]: np.load(pathlib.Path(d) / f"{i}.npy") for i, v in enumerate(infos)}
    print(f"{'output':24} {'whet':>9} {'onnxruntime':>12} {'apart':>9}   element by element: {'whet':>9} {'onnxruntime':>12} {'apart':>9}")
    for v, b in zip(s.get_outputs(), theirs):
        t, g = truth[v.name], ours[v.name].reshape(b.shape).astype(np.float64)
        top = np.abs(t).max()
        whole = lambda x, y: np.abs(x - y).max() / top
        each = lambda x, y: (np.abs(x - y) / np.maximum(np.abs(t), top / 100)).max()
        print(f"{v.name[:24]:24} {whole(g, t):9.1e} {whole(b, t):12.1e} {whole(g, b):9.1e}   {'':19} {each(g, t):9.1e} {each(b, t):12.1e} {each(g, b):9.1e}")


if __name__ == "__main__":
    main()
