#!/usr/bin/env python3
"""Accuracy of whet and of LiteRT on the same keyword-spotting samples.

    pip install ai-edge-litert numpy
    python3 test/accuracy/kws.py --material DIR [--npz OUT.npz] [--margin 0.004]

Makes an .npz (x: int8 features in the model's own type, y: class numbers) from
the kws01 samples, evaluates both runtimes on it and exits 1 when whet is more
than the margin below LiteRT.
"""
import argparse, csv, json, os, subprocess, sys, tempfile
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def samples(folder):
    x, y = [], []
    with open(os.path.join(folder, "y_labels.csv")) as f:
        for name, _, label in csv.reader(f):
            path = os.path.join(folder, name.strip())
            if os.path.exists(path):
                x.append(np.fromfile(path, np.int8).reshape(49, 10, 1))
                y.append(int(label))
    return np.stack(x), np.array(y, np.int64)


def litert(model, x, y):
    from ai_edge_litert.interpreter import Interpreter
    it = Interpreter(model_path=model)
    it.allocate_tensors()
    i, o = it.get_input_details()[0]["index"], it.get_output_details()[0]["index"]
    hits = 0
    for a, b in zip(x, y):
        it.set_tensor(i, a[None])
        it.invoke()
        hits += int(np.argmax(it.get_tensor(o)[0]) == b)
    return hits / len(x)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--material", required=True)
    ap.add_argument("--npz", help="keep the samples there")
    ap.add_argument("--margin", type=float, default=0.004)
    a = ap.parse_args()
    model = os.path.join(a.material, "mlperf-tiny/models/keyword_spotting__kws_ref_model.tflite")
    x, y = samples(os.path.join(a.material, "mlperf-tiny/energyrunner/kws01"))
    tmp = tempfile.mkdtemp()
    npz = a.npz or tmp + "/kws.npz"
    np.savez(npz, x=x, y=y)
    whet = tmp + "/kws.whet"
    go = lambda *args: subprocess.run(["go", "run", *args], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    go("./tools/convert/whet-convert", model, "-o", whet)
    ours = json.loads(go("./board/whet", "eval", whet, "--data", os.path.abspath(npz), "--json"))
    theirs = litert(model, x, y)
    print(f"{len(x)} samples: whet {ours['accuracy']:.4f}, LiteRT {theirs:.4f}")
    if ours["samples"] != len(x) or ours["accuracy"] < theirs - a.margin:
        sys.exit("whet is below LiteRT by more than the margin")


if __name__ == "__main__":
    main()
