#!/usr/bin/env python3
"""Packs the Fashion-MNIST images that `whet demo` carries.

    board/demo/pack.py board/demo/images.bin.gz

The file holds two sets, one after the other: the first 1,000 of the 10,000 test
images, and the examples that a seed chooses from, which are the first 40 of
classes 0 to 7 and the first 60 of classes 8 and 9 in the training images. A set
is its size n as a little-endian uint32, n labels of a byte, and n images of
28x28 bytes. Nothing in the file depends on the time: the same data gives the
same bytes. It needs zopfli (PyPI), whose files gzip reads and which are smaller.
"""

import gzip
import io
import struct
import sys

import zopfli.gzip

DATA = "/usr/share/datasets/fashion-mnist"
TEST = 1000
POOL = [40] * 8 + [60] * 2


def load(part):
    """Returns the images (bytes each) and labels of 'train' or 't10k'."""
    with gzip.open(f"{DATA}/{part}-images-idx3-ubyte.gz") as f:
        x = f.read()[16:]
    with gzip.open(f"{DATA}/{part}-labels-idx1-ubyte.gz") as f:
        y = f.read()[8:]
    return [x[i * 784:(i + 1) * 784] for i in range(len(y))], y


def write(f, images, labels):
    f.write(struct.pack("<I", len(labels)) + bytes(labels) + b"".join(images))


def main():
    out = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    test, test_labels = load("t10k")
    train, train_labels = load("train")
    left, pool = list(POOL), []
    for i, label in enumerate(train_labels):
        if left[label] > 0:
            left[label] -= 1
            pool.append(i)
    body = io.BytesIO()
    write(body, test[:TEST], test_labels[:TEST])
    write(body, [train[i] for i in pool], [train_labels[i] for i in pool])
    with open(out, "wb") as f:
        f.write(zopfli.gzip.compress(body.getvalue()))


if __name__ == "__main__":
    main()
