"""Runs ONNX node tests with onnxruntime: folders on stdin, one a line; the version,
then true or false for each on stdout. The limits are those of test/onnx."""
import glob
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

onnxruntime.set_default_logger_severity(4)


def load(pattern):
    tensors = []
    for i in range(len(glob.glob(pattern % "*"))):
        t = onnx.TensorProto()
        with open(pattern % i, "rb") as f:
            t.ParseFromString(f.read())
        tensors.append(numpy_helper.to_array(t))
    return tensors


def same(got, want):
    got = np.asarray(got)
    if got.shape != want.shape:
        return False
    if np.issubdtype(want.dtype, np.floating) or want.dtype.name == "bfloat16":
        return got.dtype == want.dtype and np.allclose(got.astype(np.float64), want.astype(np.float64), rtol=1e-3, atol=1e-5, equal_nan=True)
    return got.dtype == want.dtype and bool((got == want).all())


def check(folder):
    session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    sets = sorted(glob.glob(os.path.join(folder, "test_data_set_*")))
    for d in sets:
        inputs = load(os.path.join(d, "input_%s.pb"))
        want = load(os.path.join(d, "output_%s.pb"))
        got = session.run(None, dict(zip(names, inputs)))
        if len(got) != len(want) or not all(same(g, w) for g, w in zip(got, want)):
            return False
    return len(sets) > 0


print(onnxruntime.__version__, flush=True)
for line in sys.stdin:
    try:
        ok = check(line.rstrip("\n"))
    except Exception:
        ok = False
    print("true" if ok else "false", flush=True)
