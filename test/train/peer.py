"""The PyTorch side of test/train: what whet is measured against.

    python3 peer.py init DIR DATA       initial weights of the networks, and the trained base, to DIR
    python3 peer.py parity DIR DATA     trains every case of DIR/cases.json in whet's batch order
    python3 peer.py cells DIR DATA SEEDS true|false   data and cells of the domain shift, to DIR
    python3 peer.py tables DIR DATA SEEDS true|false  domain shift and class growth; its data and results to DIR
    python3 peer.py speed NAME/BATCH …  seconds of a training step, on one core

DATA is a folder with Fashion-MNIST (Debian: dataset-fashion-mnist). Arrays go
through DIR as raw little-endian files; weights lie as whet has them: [O][KH][KW][C].
"""

import gzip
import json
import os
import sys
import time

import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)


def idx(path, head):
    with gzip.open(path) as f:
        return np.frombuffer(f.read(), np.uint8)[head:]


def fashion(data, part):
    x = idx(f"{data}/{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    return x, idx(f"{data}/{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def real(x):
    return torch.from_numpy(x.astype(np.float32) / np.float32(255))


def article():
    """The small network of many tutorials."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10))


def convnet(classes=10):
    """Keras's mnist_convnet: no hidden dense layer, dropout before the last."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, classes))


def save(net, path):
    """Writes the parameters one behind the other, as whet has them."""
    parts, channels = [], None
    for m in net:
        if isinstance(m, nn.Conv2d):
            parts += [m.weight.detach().permute(0, 2, 3, 1), m.bias.detach()]
            channels = m.out_channels
        elif isinstance(m, nn.Linear):
            w = m.weight.detach()
            if channels:  # flattened as [H][W][C] there, as [C][H][W] here
                side = int((w.shape[1] // channels) ** 0.5)
                w = w.view(-1, channels, side, side).permute(0, 2, 3, 1)
                channels = None
            parts += [w, m.bias.detach()]
    np.concatenate([p.contiguous().numpy().ravel() for p in parts]).astype("<f4").tofile(path)


def train_base(net, x, y, epochs):
    """Adam, lr 1e-3, batch 128."""
    opt, loss = torch.optim.Adam(net.parameters(), 1e-3), nn.CrossEntropyLoss()
    net.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x), 128):
            k = order[i:i + 128]
            opt.zero_grad()
            loss(net(real(x[k.numpy()])), y[k]).backward()
            opt.step()
    net.eval()


def init(dir, data):
    torch.manual_seed(0)
    net = article()
    save(net, f"{dir}/article.f32")
    torch.save(net.state_dict(), f"{dir}/article.pt")
    x, y = fashion(data, "train")
    y = torch.from_numpy(y)
    if not os.path.exists(f"{dir}/base10.pt"):
        torch.manual_seed(0)
        net = convnet()
        train_base(net, x, y, 3)
        save(net, f"{dir}/base10.f32")
        torch.save(net.state_dict(), f"{dir}/base10.pt")


def parity(dir, data):
    x, y = fashion(data, "train")
    xt, yt = fashion(data, "t10k")
    y, yt = torch.from_numpy(y[:2000]), torch.from_numpy(yt)
    sets = {"article": (real(x[:2000]), real(xt)), "base10": (real(255 - x[:2000]), real(255 - xt))}
    results = []
    for case in json.load(open(f"{dir}/cases.json")):
        order = np.fromfile(f"{dir}/{case['name']}.order", "<i4").reshape(case["steps"], -1)
        curve, accuracy = repeat(dir, case, order, *sets[case["base"]], y, yt, torch.float32)
        exact, _ = repeat(dir, case, order, *sets[case["base"]], y, yt, torch.float64)
        results.append({"name": case["name"], "curve": curve, "exact": exact, "accuracy": accuracy})
    json.dump(results, open(f"{dir}/parity.json", "w"))


def repeat(dir, case, order, xs, xts, y, yt, dtype):
    """A case in whet's batch order: its loss curve and its accuracy in the end."""
    net = article() if case["base"] == "article" else convnet()
    net.load_state_dict(torch.load(f"{dir}/{case['base']}.pt"))
    net.eval().to(dtype)
    xs, xts = xs.to(dtype), xts.to(dtype)
    for m in [m for m in net if list(m.parameters())][:-case["layers"]]:
        m.requires_grad_(False)
    params = [p for p in net.parameters() if p.requires_grad]
    if case["optimizer"] == "adamw":
        opt = torch.optim.AdamW(params, case["lr"], weight_decay=0)
    else:
        opt = torch.optim.SGD(params, case["lr"], momentum=0.9)
    loss, curve = nn.CrossEntropyLoss(), []
    for k in order:
        k = torch.from_numpy(k.astype(np.int64))
        opt.zero_grad()
        v = loss(net(xs[k]), y[k])
        v.backward()
        opt.step()
        curve.append(v.item())
    with torch.no_grad():
        return curve, (net(xts).argmax(1) == yt).double().mean().item()


def shifted(x, kind):
    """Images [n][1][28][28] of another domain."""
    if kind == "invert":
        return 255 - x
    if kind == "rot90":
        return np.ascontiguousarray(np.rot90(x, 1, (2, 3)))
    noise = np.random.RandomState(3).normal(30, 40, x.shape)
    return np.clip(0.5 * x + noise, 0, 255).astype(np.uint8)


def first_layers(net):
    """The part of convnet that stays frozen under its last convolution, and up to its head."""
    return net[:3], net[:8]


def tuned(net, tail, x, y, xt, yt, lr, order):
    """Accuracy in percent after SGD with momentum 0.9 and batch 32 on the tail; order is [epochs][samples]."""
    for m in net:
        m.requires_grad_(False)
    low, high = first_layers(net)
    with torch.no_grad():
        if tail == "head":
            x, xt, rest = high(real(x)), high(real(xt)), net[8:]
        elif tail == "conv":
            x, xt, rest = low(real(x)), low(real(xt)), net[3:]
        else:
            x, xt, rest = real(x), real(xt), net
    net[8].requires_grad_(True)
    if tail == "conv":
        net[3].requires_grad_(True)
    if tail == "bias":
        net[0].bias.requires_grad_(True)
        net[3].bias.requires_grad_(True)
    opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr, momentum=0.9)
    loss = nn.CrossEntropyLoss()
    for epoch in order:
        for k in epoch.split(32):
            opt.zero_grad()
            loss(rest(x[k]), y[k]).backward()
            opt.step()
    with torch.no_grad():
        return 100 * (rest(xt).argmax(1) == yt).double().mean().item()


# Learning rates of every cell, chosen beforehand on a seed that is not used here.
SHIFT_LR = {
    ("noise", "head"): (0.003, 0.003, 0.01), ("noise", "bias"): (0.003, 0.003), ("noise", "conv"): (0.01, 0.003),
    ("invert", "head"): (0.03, 0.01, 0.01), ("invert", "bias"): (0.01, 0.01), ("invert", "conv"): (0.01, 0.01),
    ("rot90", "head"): (0.03, 0.01, 0.01), ("rot90", "bias"): (0.01, 0.01), ("rot90", "conv"): (0.01, 0.003),
}


def cells(dir, data, seeds, quick):
    """The data of the domain shift, and what is to be trained on it."""
    x, y = fashion(data, "train")
    xt, yt = fashion(data, "t10k")
    some = np.random.RandomState(7).permutation(10000)[:4000]
    rows = []
    for kind in ("noise", "invert", "rot90"):
        xs = shifted(x, kind)
        shifted(xt, kind)[some].tofile(f"{dir}/{kind}.test.x")
        yt[some].astype("<i4").tofile(f"{dir}/{kind}.test.y")
        for seed in range(min(3, int(seeds))):
            for at, k in enumerate((10,) if quick == "true" else (10, 50, 200)):
                rng = np.random.RandomState(seed)
                few = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:k] for c in range(10)])
                name = f"{kind}.{k}.{seed}"
                xs[few].tofile(f"{dir}/{name}.x")
                y[few].astype("<i4").tofile(f"{dir}/{name}.y")
                for tail in ("head", "bias", "conv"):
                    rates = SHIFT_LR[kind, tail]
                    if at < len(rates):
                        rows.append({"shift": kind, "tail": tail, "k": k, "seed": seed, "data": name, "lr": rates[at],
                                     "epochs": max(6, min(30, 2000 // k))})
    json.dump(rows, open(f"{dir}/cells.json", "w"))


def shifts(dir):
    """Trains what cells has asked for, in whet's order."""
    rows = json.load(open(f"{dir}/cells.json"))

    def read(name):
        y = np.fromfile(f"{dir}/{name}.y", "<i4").astype(np.int64)
        return np.fromfile(f"{dir}/{name}.x", np.uint8).reshape(-1, 1, 28, 28), torch.from_numpy(y)

    for row in rows:
        net = convnet()
        net.load_state_dict(torch.load(f"{dir}/base10.pt"))
        net.eval()
        order = np.fromfile(f"{dir}/{row['data']}.{row['tail']}.order", "<i4").astype(np.int64).reshape(row["epochs"], -1)
        row["accuracy"] = tuned(net, row["tail"], *read(row["data"]), *read(row["shift"] + ".test"), row["lr"], torch.from_numpy(order))
    return rows


def growth(dir, data, seeds, sizes):
    """Eight classes, then ten: accuracy on the old, the new and all."""
    x, y = fashion(data, "train")
    xt, yt = fashion(data, "t10k")
    net = convnet(8)
    if not os.path.exists(f"{dir}/base8.pt"):
        torch.manual_seed(0)
        train_base(net, x[y < 8], torch.from_numpy(y[y < 8]), 3)
        save(net, f"{dir}/base8.f32")
        torch.save(net.state_dict(), f"{dir}/base8.pt")
    net.load_state_dict(torch.load(f"{dir}/base8.pt"))
    net.eval()
    pool = np.random.RandomState(123)
    pool = np.stack([pool.permutation(np.flatnonzero(y == c))[:400] for c in range(10)])
    with torch.no_grad():
        feature = lambda x: torch.cat([net[:8](real(p)) for p in np.array_split(x, 20)])
        f, ft = feature(x[pool.ravel()]).view(10, 400, -1), feature(xt)
    w8, b8 = net[8].weight.detach(), net[8].bias.detach()
    rows, unit = [], nn.functional.normalize
    for seed in range(seeds):
        rng = np.random.RandomState(seed)
        order = np.stack([rng.permutation(400) for _ in range(10)])
        pool[np.arange(10)[:, None], order].astype("<i4").tofile(f"{dir}/growth.{seed}.pool")
        fs = torch.stack([f[c][order[c]] for c in range(10)])

        def row(method, k, kept, score):
            right = (score.argmax(1).numpy() == yt)
            rows.append({"method": method, "k": k, "kept": kept, "seed": seed, "old": 100 * right[yt < 8].mean(),
                         "new": 100 * right[yt >= 8].mean(), "all": 100 * right.mean()})

        for k in sizes:
            means = torch.stack([fs[c, :50 if c < 8 else k].mean(0) for c in range(10)])
            row("nearest class mean", k, 50, unit(ft) @ unit(means).T)
            fresh = unit(means[8:] - means[:8].mean(0)) * w8.norm(dim=1).mean()
            row("imprint", k, 50, ft @ torch.cat([w8, fresh]).T + torch.cat([b8, b8.mean().expand(2)]))
            for kept in (5, 20, 50):
                torch.manual_seed(seed)
                head = nn.Linear(1600, 10)
                with torch.no_grad():
                    head.weight.copy_(torch.cat([w8, 0.01 * torch.randn(2, 1600)]))
                    head.bias.copy_(torch.cat([b8, torch.zeros(2)]))
                fx = torch.cat([fs[:8, 200:200 + kept].reshape(-1, 1600), fs[8:, :k].reshape(-1, 1600)])
                fy = torch.cat([torch.arange(8).repeat_interleave(kept), torch.arange(8, 10).repeat_interleave(k)])
                weight = torch.cat([torch.full((8 * kept,), 0.8 / (8 * kept)), torch.full((2 * k,), 0.2 / (2 * k))])
                opt, loss = torch.optim.SGD(head.parameters(), 0.005, momentum=0.9), nn.CrossEntropyLoss()
                for _ in range(400):
                    i = torch.multinomial(weight, 32, replacement=True)
                    opt.zero_grad()
                    loss(head(fx[i]), fy[i]).backward()
                    opt.step()
                with torch.no_grad():
                    row("balanced", k, kept, head(ft))
    return rows


def tables(dir, data, seeds, quick):
    n, q = int(seeds), quick == "true"
    result = {"shift": shifts(dir), "growth": growth(dir, data, n, (20,) if q else (5, 20, 100))}
    json.dump(result, open(f"{dir}/tables.json", "w"))


class Block(nn.Module):
    """An inverted residual of MobileNetV2 with its batch normalization folded."""

    def __init__(self, cin, cout, stride, expand):
        super().__init__()
        mid, layers = cin * expand, []
        if expand > 1:
            layers += [nn.Conv2d(cin, mid, 1), nn.ReLU6()]
        layers += [nn.Conv2d(mid, mid, 3, stride, 1, groups=mid), nn.ReLU6(), nn.Conv2d(mid, cout, 1)]
        self.f, self.residual = nn.Sequential(*layers), stride == 1 and cin == cout

    def forward(self, x):
        return x + self.f(x) if self.residual else self.f(x)


def mobilenet():
    layers, cin = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6()], 32
    for t, c, n, s in (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1):
        for i in range(n):
            layers.append(Block(cin, c, s if i == 0 else 1, t))
            cin = c
    return nn.Sequential(*layers, nn.Conv2d(320, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 10))


def step_seconds(net, x, y, seconds):
    opt, loss = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9), nn.CrossEntropyLoss()
    best, end = 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end or best == 1e9:
        t = time.perf_counter()
        opt.zero_grad()
        loss(net(x), y).backward()
        opt.step()
        best = min(best, time.perf_counter() - t)
    return best


def speed(names):
    result = {}
    for name in names:
        net, batch = name.split("/")
        batch = int(batch)
        y = torch.randint(0, 10, (batch,))
        if net == "head":
            v = step_seconds(nn.Linear(1280, 10), torch.randn(batch, 1280), y, 0.5)
        elif net == "article":
            v = step_seconds(article(), torch.randn(batch, 1, 28, 28), y, 1)
        elif net == "dense":
            v = step_seconds(article()[7:], torch.randn(batch, 1600), y, 1)
        elif net == "tail":
            v = step_seconds(article()[3:], torch.randn(batch, 32, 13, 13), y, 1)
        else:
            v = step_seconds(mobilenet(), torch.randn(batch, 3, 224, 224), y, 2)
        result[name] = v
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "speed":
        speed(sys.argv[2:])
    else:
        {"init": init, "parity": parity, "cells": cells, "tables": tables}[what](*sys.argv[2:])
