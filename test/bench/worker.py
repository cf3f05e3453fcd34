#!/usr/bin/env python3
"""A peer's side of peers.py: opens a model in one runtime, runs it once, and then measures on command.

    worker.py RUNTIME MODEL THREADS        RUNTIME: litert onnxruntime openvino mnn ncnn

It speaks lines of JSON, as worker/main.go does:

    (start)            {"version", "config", "open_first_ns"}
    time RUNS SECONDS  {"min_ns", "p50_ns", "runs"}
    end                {"peak_rss", "base_rss"}     base: Python and numpy before the runtime was imported

Every runtime is set up as its makers advise for the least latency of one stream.
Inputs are written once and stay where they are: a run is the runtime's own call
and no copy of numpy's.
"""
import json, sys, time

import numpy as np


def rss(field):
    with open("/proc/self/status") as f:
        return next((int(l.split()[1]) * 1024 for l in f if l.startswith(field + ":")), 0)


def values(shape, dtype):
    rng = np.random.default_rng(1)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.itemsize > 2:
        return np.zeros(shape, dtype)  # an index or a length
    i = np.iinfo(dtype)
    return rng.integers(i.min, i.max + 1, shape).astype(dtype)


# Each of these imports its runtime and returns (version, config, open), where
# open loads the model and returns the function of one inference.

def litert(model, threads):
    import ai_edge_litert
    from ai_edge_litert.interpreter import Interpreter

    def load():
        it = Interpreter(model_path=model, num_threads=threads)  # applies the XNNPACK delegate by default
        it.allocate_tensors()
        for d in it.get_input_details():
            it.set_tensor(d["index"], values(d["shape"], d["dtype"]))
        return it.invoke
    return getattr(ai_edge_litert, "__version__", ""), {"delegate": "XNNPACK (default)"}, load


def onnxruntime(model, threads):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    o.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1

    def load():
        s = ort.InferenceSession(model, o, providers=["CPUExecutionProvider"])
        b = s.io_binding()
        for i in s.get_inputs():
            kind = {"tensor(float)": "f4", "tensor(int8)": "i1", "tensor(uint8)": "u1", "tensor(int32)": "i4", "tensor(int64)": "i8"}[i.type]
            b.bind_cpu_input(i.name, values([d if isinstance(d, int) else 1 for d in i.shape], kind))
        for out in s.get_outputs():
            b.bind_output(out.name)
        return lambda: s.run_with_iobinding(b)
    return ort.__version__, {"optimization": "all", "execution": "sequential", "inter_op": 1, "binding": True}, load


def openvino(model, threads):
    import openvino as ov
    from openvino.preprocess import PrePostProcessor
    # Without the precision hint a core with AVX512_BF16 computes "float32" models in bfloat16.
    config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads), "INFERENCE_PRECISION_HINT": "f32"}

    def load():
        m = ov.Core().read_model(model)
        if m.is_dynamic():
            m.reshape({i: [d.get_length() if d.is_static else 1 for d in i.partial_shape] for i in m.inputs})
        m = nhwc(m) if not model.endswith(".tflite") else m
        r = ov.Core().compile_model(m, "CPU", config).create_infer_request()
        for t in r.input_tensors:
            t.data[...] = values(t.shape, t.data.dtype)
        return r.infer

    def nhwc(m):
        """Pictures as NHWC at both ends: its convolutions' own order, up to three times faster on a single layer."""
        p = PrePostProcessor(m)
        for ports, end in ((m.inputs, p.input), (m.outputs, p.output)):
            for i, port in enumerate(ports):
                if len(port.partial_shape) == 4:
                    end(i).model().set_layout(ov.Layout("NCHW"))
                    end(i).tensor().set_layout(ov.Layout("NHWC"))
        return p.build()
    return ov.__version__, config, load


def mnn(model, threads):
    import MNN
    config = {"backend": "CPU", "numThread": threads, "precision": "normal"}

    def load():
        net = MNN.Interpreter(model)
        s = net.createSession(config)
        kinds = {MNN.Halide_Type_Float: "f4", MNN.Halide_Type_Uint8: "u1", MNN.Halide_Type_Int: "i4"}
        for t in net.getSessionInputAll(s).values():
            kind = t.getDataType()
            if kind in kinds:  # the package cannot write int8 tensors: these keep what they hold
                t.copyFrom(MNN.Tensor(t.getShape(), kind, values(t.getShape(), kinds[kind]), t.getDimensionType()))

        def run():
            if net.runSession(s):
                raise RuntimeError("runSession failed")
        return run
    return MNN.version(), config, load


def ncnn(model, threads):
    import ncnn as nn
    nn.set_omp_num_threads(threads)

    def load():
        net = nn.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = False
        if net.load_param(model) or net.load_model(model[:-len(".param")] + ".bin"):
            raise RuntimeError("cannot load " + model)
        with open(model[:-len(".param")] + ".shape.json") as f:
            shape = json.load(f)
        array = values(shape, "f4")  # a Mat does not keep the array alive that it is made of: this one owns a copy
        x = nn.Mat(array).clone()
        outs = net.output_names()

        def run():
            with net.create_extractor() as e:
                e.input("in0", x)
                return [e.extract(o) for o in outs]
        return run
    return nn.__version__, {"packing": True, "winograd": True, "storage": "float32"}, load


RUNTIMES = {f.__name__: f for f in (litert, onnxruntime, openvino, mnn, ncnn)}


def measure(run, runs, seconds):
    """Up to runs inferences within the budget, but at least three, after a tenth of the
    budget has warmed the caches that the others have filled."""
    now, t = time.perf_counter_ns, []
    end = now() + seconds * 1e8
    while True:
        run()
        if now() > end:
            break
    end = now() + seconds * 1e9
    while len(t) < 3 or len(t) < runs and now() < end:
        a = now()
        run()
        t.append(now() - a)
    t.sort()
    return {"min_ns": t[0], "p50_ns": t[len(t) // 2], "runs": len(t)}


def main():
    runtime, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answer = sys.stdout

    def say(x):
        answer.write(json.dumps(x) + "\n")
        answer.flush()

    base = rss("VmRSS")
    version, config, load = RUNTIMES[runtime](model, threads)
    start = time.perf_counter_ns()
    run = load()
    run()
    say({"version": version, "config": {**config, "threads": threads}, "open_first_ns": time.perf_counter_ns() - start})
    for line in sys.stdin:
        command, runs, seconds = line.split()
        say(measure(run, int(runs), float(seconds)))
    say({"peak_rss": rss("VmHWM"), "base_rss": base})


if __name__ == "__main__":
    main()
