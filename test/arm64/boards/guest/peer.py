"""Runs a model twice between three marks for the plugin blocks.c: LiteRT (.tflite), ncnn
(.param), onnxruntime (.onnx). One thread."""
import json
import os
import sys

import numpy as np


def litert(path):
    from ai_edge_litert.interpreter import Interpreter
    it = Interpreter(model_path=path, num_threads=1)
    it.allocate_tensors()
    rng = np.random.default_rng(1)
    for d in it.get_input_details():
        lo, hi = (np.iinfo(d["dtype"]).min, np.iinfo(d["dtype"]).max) if np.issubdtype(d["dtype"], np.integer) else (-1, 1)
        it.set_tensor(d["index"], rng.uniform(lo, hi, d["shape"]).astype(d["dtype"]))
    return it.invoke


def ncnn(path):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.load_param(path)
    net.load_model(path.removesuffix(".param") + ".bin")
    with open(path.removesuffix(".param") + ".shape.json") as f:
        shape = json.load(f)
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)

    def run():
        with net.create_extractor() as ex:
            ex.input(net.input_names()[0], ncnn.Mat(x))
            ex.extract(net.output_names()[0])
    return run


def onnx(path):
    import onnxruntime as ort
    opt = ort.SessionOptions()
    opt.intra_op_num_threads = 1
    s = ort.InferenceSession(path, opt, providers=["CPUExecutionProvider"])
    i = s.get_inputs()[0]
    x = {i.name: np.random.default_rng(1).uniform(-1, 1, i.shape).astype(np.float32)}
    return lambda: s.run(None, x)


def mark():
    try:
        os.getpriority(os.PRIO_PGRP, 7)
    except OSError:
        pass  # there is no such group


path = sys.argv[1]
run = {".tflite": litert, ".param": ncnn, ".onnx": onnx}[os.path.splitext(path)[1]](path)
mark()
run()
mark()
run()
mark()
