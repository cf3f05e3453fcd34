"""Writes integers.json: a small int8 network and the gradients of a score through it.

    python3 integers.py          (needs numpy)

The network runs in whole numbers, by the formulas of the integer kernels. Its
gradients are float64: a rounding passes them on as they are, a result at an end of
its range passes nothing, weights are the real numbers that they stand for.
"""

import json
import numpy as np

r = np.random.default_rng(7)
rne = np.rint
LO, HI = -128, 127


def multiplier(sx, sw, sy):
    return np.float32(np.float64(np.float32(sx)) * np.float64(sw) / np.float64(np.float32(sy)))


class Conv:
    """A convolution of stride s over a picture padded by p; groups is 1 or the channels."""

    def __init__(self, name, x, y, o, k, c, s, p, depthwise, weight_scale):
        self.name, self.x, self.y, self.s, self.p, self.dw = name, x, y, s, p, depthwise
        self.w = r.integers(-127, 128, (o, k, k, 1 if depthwise else c))
        self.sw = np.array([weight_scale * (1 + i / 16) for i in range(o)], np.float32)
        self.b = r.integers(-400, 400, o)

    def taps(self, x):
        """x [H,W,C] as [OH,OW,KH,KW,C], padding being zero."""
        k = self.w.shape[1]
        x = np.pad(x, ((self.p, self.p), (self.p, self.p), (0, 0)))
        n = (x.shape[0] - k) // self.s + 1
        return np.stack([np.stack([x[i * self.s:i * self.s + k, j * self.s:j * self.s + k] for j in range(n)]) for i in range(n)])

    def forward(self, v):
        q = v[self.x[0]] - self.x[2]
        self.t = self.taps(q)
        if self.dw:
            acc = np.einsum("ijklc,cklz->ijc", self.t, self.w) + self.b
        else:
            acc = np.einsum("ijklc,oklc->ijo", self.t, self.w) + self.b
        m = np.array([multiplier(self.x[1], s, self.y[1]) for s in self.sw])
        y = acc.astype(np.float32) * m
        z = self.y[2]
        v[self.y[0]] = (z + rne(np.clip(y, LO - z, HI - z))).astype(int)

    def backward(self, v, g, out):
        d = g[self.y[0]] * inside(v[self.y[0]])
        w = self.w * self.sw.astype(np.float64)[:, None, None, None]
        sx = float(np.float32(self.x[1]))
        if self.dw:
            out[self.name + "/w"] = np.einsum("ijc,ijklc->ckl", d, self.t)[..., None] * sx
            dt = np.einsum("ijc,cklz->ijklc", d, w)
        else:
            out[self.name + "/w"] = np.einsum("ijo,ijklc->oklc", d, self.t) * sx
            dt = np.einsum("ijo,oklc->ijklc", d, w)
        out[self.name + "/b"] = d.sum((0, 1))
        h, k = v[self.x[0]].shape[0], w.shape[1]
        dx = np.zeros((h + 2 * self.p, h + 2 * self.p, dt.shape[-1]))
        for i in range(dt.shape[0]):
            for j in range(dt.shape[1]):
                dx[i * self.s:i * self.s + k, j * self.s:j * self.s + k] += dt[i, j]
        add(g, self.x[0], dx[self.p:self.p + h, self.p:self.p + h])


def inside(q):
    return ((q > LO) & (q < HI)).astype(float)


def add(g, name, d):
    g[name] = g.get(name, 0) + d


# name, scale, zero point
x, c1, pool = ("in", 1 / 64, 3), ("c1", 1 / 80, -128), ("pool", 1 / 80, -128)
deep, point, total = ("deep", 1 / 180, -128), ("point", 1 / 60, 4), ("sum", 1 / 50, -20)
mean, score = ("mean", 1 / 32, 5), ("score", 1 / 8, 0)
v = {"in": r.integers(-128, 128, (8, 8, 2))}
conv1 = Conv("c1", x, c1, 6, 3, 2, 1, 1, False, 1 / 700)
conv2 = Conv("deep", c1, deep, 6, 3, 6, 2, 1, True, 1 / 300)
conv3 = Conv("point", deep, point, 6, 1, 6, 1, 0, False, 1 / 300)
dense = Conv("score", mean, score, 3, 1, 6, 1, 0, False, 1 / 64)

conv1.forward(v)
conv2.forward(v)
blocks = v["c1"].reshape(4, 2, 4, 2, 6).transpose(0, 2, 1, 3, 4).reshape(4, 4, 4, 6)
v["pool"] = blocks.max(2)
conv3.forward(v)
f = np.float32
a = (v["point"] - point[2]).astype(f) * (f(point[1]) / f(total[1]))
b = np.float64(f(pool[1]) / f(total[1])) * (v["pool"] - pool[2]) + a  # exact, but for the last rounding: a fused multiply-add
v["sum"] = (total[2] + rne(np.clip(b.astype(f), LO - total[2], HI - total[2]))).astype(int)
m = multiplier(total[1], 1 / 16, mean[1])
v["mean"] = (mean[2] + rne(np.clip((v["sum"] - total[2]).sum((0, 1)).astype(f) * m, LO - mean[2], HI - mean[2]))).astype(int).reshape(1, 1, 6)
dense.forward(v)

k = int(np.argmax(v["score"]))
g, out = {"score": np.eye(3)[k].reshape(1, 1, 3)}, {}
dense.backward(v, g, out)
d = np.broadcast_to(g["mean"] / 16, (4, 4, 6)) * inside(v["sum"])
g["point"], g["pool"] = d, d
conv3.backward(v, g, out)
conv2.backward(v, g, out)
first = blocks.argmax(2)
dc = np.zeros((4, 4, 4, 6))
np.put_along_axis(dc, first[:, :, None], g["pool"][:, :, None], 2)
add(g, "c1", dc.reshape(4, 4, 2, 2, 6).transpose(0, 2, 1, 3, 4).reshape(8, 8, 6))
conv1.backward(v, g, out)
out["in"] = g["in"]

flat = lambda a: np.asarray(a).ravel().tolist()
json.dump({
    "tensors": [{"name": t[0], "scale": float(f(t[1])), "zero": t[2], "shape": list(v[t[0]].shape), "codes": flat(v[t[0]])}
                for t in (x, c1, pool, deep, point, total, mean, score)],
    "layers": [{"name": c.name, "weights": flat(c.w), "shape": list(c.w.shape), "scales": flat(c.sw.astype(float)), "bias": flat(c.b)}
               for c in (conv1, conv2, conv3, dense)],
    "class": k,
    "gradients": {n: [float(f"{e:.12g}") for e in flat(a)] for n, a in out.items()},
}, open("integers.json", "w"), separators=(",", ":"))
