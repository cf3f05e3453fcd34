"""Plays Triton's own client against whet serve: URL MODEL."""
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

url, model = sys.argv[1:]
c = triton.InferenceServerClient(url)

assert c.is_server_live() and c.is_server_ready() and c.is_model_ready(model) and c.is_model_ready(model, "1")
assert not c.is_model_ready(model, "99")
meta = c.get_server_metadata()
assert meta["name"] == "whet" and "binary_tensor_data" in meta["extensions"], meta
meta = c.get_model_metadata(model)
x, y = meta["inputs"][0], meta["outputs"][0]
index = {m["name"]: m["state"] for m in c.get_model_repository_index()}
assert index[model] == "READY" and index["torn"] == "UNAVAILABLE", index

types = {"INT8": np.int8, "UINT8": np.uint8, "FP32": np.float32}
data = np.random.default_rng(1).integers(0, 100, x["shape"]).astype(types[x["datatype"]])


def infer(binary_in, binary_out, classes=0):
    i = triton.InferInput(x["name"], x["shape"], x["datatype"])
    i.set_data_from_numpy(data, binary_data=binary_in)
    o = triton.InferRequestedOutput(y["name"], binary_data=binary_out, class_count=classes)
    r = c.infer(model, [i], outputs=[o], request_id="r1")
    assert r.get_response()["id"] == "r1" and r.get_response()["model_version"] == "1"
    return r.as_numpy(y["name"])


want = infer(True, True)
assert want.dtype == types[y["datatype"]] and list(want.shape) == y["shape"], want
for binary_in in (True, False):
    for binary_out in (True, False):
        got = infer(binary_in, binary_out)
        assert got.dtype == want.dtype and (got == want).all(), (binary_in, binary_out, got)
for binary in (True, False):
    best = infer(True, binary, classes=3).ravel()
    best = [b.decode() if isinstance(b, bytes) else b for b in best]
    assert len(best) == 3 and int(best[0].split(":")[1]) == want.argmax(), best
stats = c.get_inference_statistics(model)["model_stats"][0]
assert stats["inference_count"] == stats["inference_stats"]["success"]["count"] == 7, stats


def refused(status, call):
    try:
        call()
    except InferenceServerException as e:
        assert e.status() == str(status), e
        return
    raise AssertionError("not refused")


refused(404, lambda: c.infer("nosuch", []))
refused(400, lambda: c.infer(model, []))
refused(400, lambda: c.load_model("torn"))
c.unload_model(model)
assert not c.is_model_ready(model)
c.load_model(model)
assert c.is_model_ready(model) and (infer(True, True) == want).all()
print("ok")
