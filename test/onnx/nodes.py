"""Writes the node tests of the installed onnx package, of every opset up to its newest.

    python3 test/onnx/nodes.py --out DIR
    go run ./test/onnx DIR

The package makes its tests from code and no longer ships them. Those of sequences of
uneven tensors cannot be written as files; they are named and left out.
"""

import argparse
import pathlib
import shutil
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def write(case, folder):
    """Writes a case as model.onnx and test_data_set_N/{input,output}_K.pb."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(case.model, folder / "model.onnx")
    graph = case.model.graph
    for i, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{i}"
        data.mkdir(exist_ok=True)
        for kind, values, ports in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for k, v in enumerate(values):
                t = v if isinstance(v, onnx.TensorProto) else numpy_helper.from_array(np.asarray(v))
                t.name = ports[k].name
                (data / f"{kind}_{k}.pb").write_bytes(t.SerializeToString())


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    out = ap.parse_args().out
    warnings.simplefilter("ignore")  # the cases overflow on purpose
    written = 0
    for case in collect_testcases(None):
        if case.model is None:
            continue
        try:
            write(case, out / case.name)
            written += 1
        except (ValueError, TypeError, NotImplementedError) as e:
            shutil.rmtree(out / case.name)
            print(f"left out: {case.name}: {e}")
    print(f"{written} cases of onnx {onnx.__version__}, opset {onnx.defs.onnx_opset_version()}, in {out}")


if __name__ == "__main__":
    main()
