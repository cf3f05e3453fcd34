"""The PyTorch side of test/train: what whet is measured against.

    python3 peer.py init DIR DATA       initial weights of the networks, and the trained base, to DIR
    python3 peer.py parity DIR DATA     trains every case of DIR/cases.json in whet's batch order
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
        net = article() if case["base"] == "article" else convnet()
        net.load_state_dict(torch.load(f"{dir}/{case['base']}.pt"))
        net.eval()
        xs, xts = sets[case["base"]]
        layers = [m for m in net if list(m.parameters())]
        for m in layers[:-case["layers"]]:
            m.requires_grad_(False)
        params = [p for p in net.parameters() if p.requires_grad]
        if case["optimizer"] == "adamw":
            opt = torch.optim.AdamW(params, case["lr"], weight_decay=0)
        else:
            opt = torch.optim.SGD(params, case["lr"], momentum=0.9)
        loss, curve = nn.CrossEntropyLoss(), []
        for k in np.fromfile(f"{dir}/{case['name']}.order", "<i4").reshape(case["steps"], -1):
            k = torch.from_numpy(k.astype(np.int64))
            opt.zero_grad()
            v = loss(net(xs[k]), y[k])
            v.backward()
            opt.step()
            curve.append(v.item())
        with torch.no_grad():
            accuracy = (net(xts).argmax(1) == yt).double().mean().item()
        results.append({"name": case["name"], "curve": curve, "accuracy": accuracy})
    json.dump(results, open(f"{dir}/parity.json", "w"))


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
        {"init": init, "parity": parity}[what](*sys.argv[2:])
