"""The server that one writes in Python around a runtime: a picture's bytes come in, the scores go out.

    python fastapi_server.py {onnxruntime|litert} MODEL PORT

uvicorn with one worker and the runtime with one thread, as whet serve is measured beside it.
"""
import sys

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response


def onnxruntime(path):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = session.get_inputs()[0]
    dtype = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}[x.type]
    return x.shape, dtype, lambda a: session.run(None, {x.name: a})[0]


def litert(path):
    from ai_edge_litert.interpreter import Interpreter
    it = Interpreter(path, num_threads=1)
    it.allocate_tensors()
    x, y = it.get_input_details()[0], it.get_output_details()[0]

    def run(a):
        it.set_tensor(x["index"], a)
        it.invoke()
        return it.get_tensor(y["index"])
    return x["shape"], x["dtype"], run


kind, path, port = sys.argv[1:]
shape, dtype, run = {"onnxruntime": onnxruntime, "litert": litert}[kind](path)
app = FastAPI()


@app.get("/ready")
def ready():
    return {}


@app.post("/infer")
async def infer(request: Request):
    a = np.frombuffer(await request.body(), np.uint8).reshape(shape)
    return Response(run(a.astype(dtype)).tobytes(), media_type="application/octet-stream")


uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
