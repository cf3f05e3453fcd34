#!/usr/bin/env python3
"""Makes vectors for Keras models (.h5, .keras), with Keras.

    pip install keras tensorflow-cpu
    python3 keras_golden.py --material DIR --out DIR

It takes every .h5 and .keras below the material folder. The output folder gets
golden/index.json and a folder for each model beside it, as test/conformance reads
them with --vectors: in_K_I.npy and out_K_O.npy, one run each, with a batch of 1.
"""

import argparse
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np

CASES = 5


def make(material, name, out):
    model = keras.models.load_model(material / name, compile=False)
    rng = np.random.default_rng(1)
    folder = out / "golden" / name
    folder.mkdir(parents=True, exist_ok=True)
    entry = {
        "model": name,
        "oracle": "keras " + keras.__version__,
        "inputs": [{"name": t.name, "shape": [d or 1 for d in t.shape]} for t in model.inputs],
        "outputs": [{"name": t.name, "shape": [d or 1 for d in t.shape]} for t in model.outputs],
        "cases": [],
    }
    for k in range(CASES):
        x = [rng.normal(0, 1, e["shape"]).astype(np.float32) for e in entry["inputs"]]
        y = model(x if len(x) > 1 else x[0], training=False)
        for i, a in enumerate(x):
            np.save(folder / f"in_{k}_{i}.npy", a)
        for i, a in enumerate(y if isinstance(y, (list, tuple)) else [y]):
            np.save(folder / f"out_{k}_{i}.npy", np.asarray(a))
        entry["cases"].append({"case": k, "kind": "random"})
    print(f"{name}: {entry['oracle']}")
    return entry


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--material", type=pathlib.Path, required=True)
    p.add_argument("--out", type=pathlib.Path, required=True)
    a = p.parse_args()
    names = sorted(f.relative_to(a.material).as_posix() for f in a.material.rglob("*") if f.is_file() and f.suffix in (".h5", ".keras"))
    index = [make(a.material, n, a.out) for n in names]
    (a.out / "golden" / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
