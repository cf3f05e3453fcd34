#!/usr/bin/env python3
"""Makes vectors for the .tflite models that have none, with LiteRT.

    pip install ai-edge-litert numpy
    python3 litert_golden.py --material DIR --out DIR [MODEL ...]

Without a MODEL (a path below the material folder) it takes every .tflite that
golden/index.json does not list and that has no golden folder. The output folder
gets golden/index.json and a folder for each model beside it, as
test/conformance reads them: seq_in.npy and seq_out.npy are consecutive runs of one interpreter, so that
state carries over; in_K_I.npy and out_K_O.npy are runs of fresh ones.

Two kinds of model need help, and the note in index.json says so:

* Early converters gave biases the quantized dimension of their weights. LiteRT
  refuses that; the dimension is set to 0 in a copy before it is loaded.
* LiteRT has no SVDF with an 8-bit state, which only TensorFlow Lite Micro has,
  and it aborts the process instead of saying so. Such a model is computed here,
  by the integer arithmetic of TensorFlow Lite Micro's kernels (svdf_common.cc,
  fully_connected.h, quantize_common.cc; softmax in float64), except that a state
  saturates where those wrap around when they add its zero point. keyword_scrambled
  has random biases of up to 2^31, so that whatever comes in, 127 and -128 come
  out: a copy of it without biases is written beside its vectors, and used too.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys

import flatbuffers
import numpy as np
from flatbuffers import encode, number_types as N

SEQUENCE = 12  # runs of a stateful model
CASES = 3  # runs of any other


# --- the few fields of schema.fbs that are needed ---


class Table:
    def __init__(self, buf, pos):
        self.t = flatbuffers.table.Table(buf, pos)

    def at(self, field):
        o = self.t.Offset(4 + 2 * field)
        return o + self.t.Pos if o else 0

    def scalar(self, field, flags, default=0):
        p = self.at(field)
        return self.t.Get(flags, p) if p else default

    def table(self, field):
        p = self.at(field)
        return Table(self.t.Bytes, self.t.Indirect(p)) if p else None

    def vector(self, field):
        p = self.at(field)
        if not p:
            return 0, 0
        p += self.t.Get(N.UOffsetTFlags, p)
        return p + 4, self.t.Get(N.UOffsetTFlags, p)

    def tables(self, field):
        p, n = self.vector(field)
        return [Table(self.t.Bytes, self.t.Indirect(p + 4 * i)) for i in range(n)]

    def numbers(self, field, dtype):
        p, n = self.vector(field)
        return np.frombuffer(bytes(self.t.Bytes[p : p + n * np.dtype(dtype).itemsize]), dtype)


TYPES = {0: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 7: np.int16, 9: np.int8}


class Tensor:
    def __init__(self, t, buffers):
        self.shape = tuple(int(v) for v in t.numbers(0, "<i4"))
        self.type = TYPES.get(t.scalar(1, N.Int8Flags))
        raw = buffers[t.scalar(2, N.Uint32Flags)].numbers(0, "u1")
        self.data = raw.view(self.type).reshape(self.shape) if len(raw) and self.type else None
        self.variable = bool(t.scalar(5, N.BoolFlags))
        q = t.table(4)
        scale = q.numbers(2, "<f4") if q else []
        zero = q.numbers(3, "<i8") if q else []
        self.scale = float(scale[0]) if len(scale) else None
        self.zero = int(zero[0]) if len(zero) else 0
        p, n = t.vector(3)
        self.name = bytes(t.t.Bytes[p : p + n]).decode()


class Model:
    def __init__(self, buf):
        root = Table(buf, encode.Get(N.UOffsetTFlags.packer_type, buf, 0))
        buffers = root.tables(4)
        graph = root.tables(2)[0]
        codes = [max(c.scalar(0, N.Int8Flags), c.scalar(3, N.Int32Flags)) for c in root.tables(1)]
        self.tensors = [Tensor(t, buffers) for t in graph.tables(0)]
        self.inputs = graph.numbers(1, "<i4")
        self.outputs = graph.numbers(2, "<i4")
        self.ops = [
            (codes[o.scalar(0, N.Uint32Flags)], o.numbers(1, "<i4"), o.numbers(2, "<i4"), o.table(4))
            for o in graph.tables(3)
        ]


VAR_HANDLE, SVDF, FULLY_CONNECTED, SOFTMAX, QUANTIZE = 142, 27, 9, 25, 114


def mend_bias_dimension(buf):
    """Sets the quantized dimension of vectors to 0; returns how many it changed."""
    root = Table(buf, encode.Get(N.UOffsetTFlags.packer_type, buf, 0))
    n = 0
    for g in root.tables(2):
        for t in g.tables(0):
            q = t.table(4)
            p = q.at(6) if q else 0
            if p and t.vector(0)[1] == 1 and q.t.Get(N.Int32Flags, p) != 0:
                buf[p : p + 4] = bytes(4)
                n += 1
    return n


# --- TensorFlow Lite Micro's integer arithmetic ---


def multiplier(real):
    q, shift = math.frexp(real)
    q = int(math.floor(q * (1 << 31) + 0.5))
    return (q // 2, shift + 1) if q == 1 << 31 else (q, shift)


def scaled(x, m):
    """MultiplyByQuantizedMultiplier, as TFLITE_SINGLE_ROUNDING builds it: one
    rounding, as in XNNPACK. The other form rounds twice, and the deep stack of
    SVDFs without biases amplifies each unit of that a hundredfold."""
    q, shift = m
    return (x.astype(np.int64) * q + (1 << (30 - shift))) >> (31 - shift)


def saturate(x, dtype):
    i = np.iinfo(dtype)
    return np.clip(x, i.min, i.max).astype(dtype)


class Micro:
    """Runs the models that consist of SVDF, FULLY_CONNECTED, SOFTMAX and QUANTIZE."""

    def __init__(self, model):
        self.m = model
        self.value = {i: t.data for i, t in enumerate(model.tensors) if t.data is not None}
        for i, t in enumerate(model.tensors):
            if t.variable:
                self.value[i] = np.full(t.shape, t.zero, t.type)

    def run(self, x):
        m, v = self.m, self.value
        v[int(m.inputs[0])] = x
        for code, ins, outs, options in m.ops:
            t = [m.tensors[i] for i in ins]
            a = [v[int(i)] if i >= 0 else None for i in ins]
            y = m.tensors[outs[0]]
            if code == QUANTIZE:
                r = scaled(a[0].astype(np.int64) - t[0].zero, multiplier(t[0].scale / y.scale)) + y.zero
            elif code == FULLY_CONNECTED:
                acc = (a[1].astype(np.int64) @ (a[0].astype(np.int64) - t[0].zero).reshape(-1)) + a[2]
                r = scaled(acc, multiplier(t[0].scale * t[1].scale / y.scale)) + y.zero
            elif code == SOFTMAX:
                e = t[0].scale * (a[0].astype(np.float64) - a[0].max())
                p = np.exp(e) / np.exp(e).sum()
                r = np.round(p / y.scale) + y.zero
            elif code == SVDF:
                rank = options.scalar(0, N.Int32Flags)
                s, wt = a[4].reshape(a[2].shape), a[2].astype(np.int64)
                acc = a[1].astype(np.int64) @ (a[0].astype(np.int64) - t[0].zero).reshape(-1)
                new = scaled(acc, multiplier(t[0].scale * t[1].scale / t[4].scale))
                s = np.roll(s, -1, axis=1)
                s[:, -1] = saturate(new + t[4].zero, t[4].type)
                v[int(ins[4])] = s
                acc = (wt * (s.astype(np.int64) - t[4].zero)).sum(1).reshape(-1, rank).sum(1) + a[3]
                r = scaled(acc, multiplier(t[4].scale * t[2].scale / y.scale)) + y.zero
            else:
                raise SystemExit(f"operator {code} is not among those computed here")
            v[int(outs[0])] = saturate(r, y.type).reshape(y.shape)
        return v[int(m.outputs[0])]


# --- making vectors ---


def sample(rng, t):
    if np.issubdtype(t.type, np.integer):
        i = np.iinfo(t.type)
        return rng.integers(i.min, i.max + 1, t.shape).astype(t.type)
    return rng.random(t.shape, np.float32)


class LiteRT:
    def __init__(self, buf):
        from ai_edge_litert.interpreter import Interpreter

        self.it = Interpreter(model_content=bytes(buf), num_threads=1)
        self.it.allocate_tensors()

    def run(self, *xs):
        for d, x in zip(self.it.get_input_details(), xs):
            self.it.set_tensor(d["index"], x)
        self.it.invoke()
        return [self.it.get_tensor(d["index"]).copy() for d in self.it.get_output_details()]


def survives(path):
    """Whether LiteRT runs the model without taking its process down."""
    return subprocess.run([sys.executable, __file__, "--try", str(path)], capture_output=True).returncode == 0


def try_out(path):
    buf = bytearray(pathlib.Path(path).read_bytes())
    mend_bias_dimension(buf)
    m, rt = Model(buf), LiteRT(buf)
    for _ in range(SEQUENCE):
        rt.run(*[np.zeros(m.tensors[i].shape, m.tensors[i].type) for i in m.inputs])


def describe(m, ids):
    t = [m.tensors[i] for i in ids]
    return [{"name": x.name, "dtype": np.dtype(x.type).name, "shape": list(x.shape)} for x in t]


def without_biases(buf):
    """Zeroes the constant vectors of int32."""
    root = Table(buf, encode.Get(N.UOffsetTFlags.packer_type, buf, 0))
    buffers = root.tables(4)
    for t in root.tables(2)[0].tables(0):
        if t.vector(0)[1] == 1 and t.scalar(1, N.Int8Flags) == 2:
            p, n = buffers[t.scalar(2, N.Uint32Flags)].vector(0)
            buf[p : p + n] = bytes(n)
    return buf


def make(material, name, out):
    import ai_edge_litert

    buf = bytearray((material / name).read_bytes())
    m = Model(buf)
    entry = {
        "model": name,
        "oracle": "ai-edge-litert " + getattr(ai_edge_litert, "__version__", "?"),
        "inputs": describe(m, m.inputs),
        "outputs": describe(m, m.outputs),
        "cases": [],
    }
    mended = mend_bias_dimension(buf)
    if mended:
        entry["note"] = f"quantized dimension of {mended} biases set to 0, which LiteRT refused as it was"
    rng = np.random.default_rng(1)
    folder = out / "golden" / name
    folder.mkdir(parents=True, exist_ok=True)
    stateful = any(t.variable for t in m.tensors) or any(op[0] == VAR_HANDLE for op in m.ops)
    xs = [[sample(rng, m.tensors[i]) for i in m.inputs] for _ in range(SEQUENCE if stateful else CASES)]
    if not survives(material / name):
        entry["oracle"] = "numpy, TensorFlow Lite Micro's arithmetic"
        entry["note"] = "ai-edge-litert cannot run it: SVDF with an 8-bit state makes it abort"
        micro = Micro(m)
        ys = [[micro.run(x[0]).copy()] for x in xs]
    elif stateful:
        rt = LiteRT(buf)
        ys = [rt.run(*x) for x in xs]
    else:
        ys = [LiteRT(buf).run(*x) for x in xs]
    if stateful:
        np.save(folder / "seq_in.npy", np.stack([x[0] for x in xs]))
        np.save(folder / "seq_out.npy", np.stack([y[0] for y in ys]))
    else:
        for k, (x, y) in enumerate(zip(xs, ys)):
            entry["cases"].append({"case": k, "kind": "random"})
            for i, a in enumerate(x):
                np.save(folder / f"in_{k}_{i}.npy", a)
            for i, a in enumerate(y):
                np.save(folder / f"out_{k}_{i}.npy", a)
    print(f"{name}: {entry['oracle']}" + (f" ({entry['note']})" if "note" in entry else ""))
    return entry


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--material", type=pathlib.Path)
    p.add_argument("--out", type=pathlib.Path)
    p.add_argument("--try", dest="trial", help=argparse.SUPPRESS)
    p.add_argument("models", nargs="*", metavar="MODEL")
    a = p.parse_args()
    if a.trial:
        return try_out(a.trial)
    if not a.material or not a.out:
        p.error("give --material and --out")
    models = a.models
    if not models:
        golden = a.material / "golden"
        listed = {e["model"] for e in json.loads((golden / "index.json").read_text())}
        every = sorted(f.relative_to(a.material).as_posix() for f in a.material.rglob("*.tflite") if f.is_file())
        models = [f for f in every if f not in listed and not (golden / f).is_dir()]
    a.out.mkdir(parents=True, exist_ok=True)
    index = [make(a.material, name, a.out) for name in models]
    for name in models:
        if "scrambled" in name:
            copy = name.replace(".tflite", "_nobias.tflite")
            (a.out / copy).parent.mkdir(parents=True, exist_ok=True)
            (a.out / copy).write_bytes(without_biases(bytearray((a.material / name).read_bytes())))
            index.append(make(a.out, copy, a.out))
    (a.out / "golden" / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
