#!/usr/bin/env python3
"""Makes files.zip, the HDF5 files that the tests read.

    pip install h5py numpy
    python3 make.py

Every dataset of numbers holds i*7 % 251 at its i-th element; the tests know that.
"""

import io
import zipfile

import h5py
import numpy as np


def numbers(shape, dtype):
    n = int(np.prod(shape))
    return (np.arange(n) * 7 % 251 % (128 if dtype in ("i1",) else 251)).astype(dtype).reshape(shape)


def fill(f):
    f.attrs["text"] = "a string of variable length: é"
    f.attrs["bytes"] = b"bytes"
    f.attrs["fixed"] = np.bytes_(b"of fixed length")
    f.attrs["list"] = np.array([b"one", b"three", b""])
    f.attrs.create("varlist", ["one", "two", "", "four"], dtype=h5py.string_dtype())
    f.attrs["number"] = 3.5
    g = f.create_group("types")
    for t in ["<f4", ">f4", "<f2", "<f8", "i1", "u1", "<i4", ">i2", "<u8", "?"]:
        g.create_dataset(t.strip("<") if t != ">f4" else "big f4", data=numbers((3, 5), "u1").astype(t) if t == "?" else numbers((3, 5), t))
    g = f.create_group("layouts")
    g.create_dataset("scalar", data=np.float32(0))
    g.create_dataset("empty", shape=(0, 4), dtype="f4")
    g.create_dataset("contiguous", data=numbers((20, 30), "f4"))
    g.create_dataset("single", data=numbers((20, 30), "f4"), chunks=(20, 30), compression="gzip")
    g.create_dataset("unwritten", shape=(4, 5), dtype="f4", fillvalue=2.5)
    if f.libver[1] == "v108" or f.libver[0] == "earliest":
        g.create_dataset("chunked", data=numbers((20, 30), "f4"), chunks=(7, 8))
        g.create_dataset("deep", data=numbers((7, 6, 5, 4), "i4"), chunks=(2, 3, 2, 4))
        g.create_dataset("gzip", data=numbers((50, 30), "f4"), chunks=(16, 30), compression="gzip")
        g.create_dataset("shuffle", data=numbers((50, 30), "f4"), chunks=(16, 16), compression="gzip", shuffle=True, fletcher32=True)
        g.create_dataset("many", data=numbers((300, 3), "u1"), chunks=(1, 3))  # a B-tree with several levels
        g.create_dataset("growing", data=numbers((5, 3), "f4"), maxshape=(None, 3))
    g = f.create_group("many")
    for i in range(200):
        g.create_group("member%03d" % i).attrs["i"] = str(i)
    a = f.create_group("attributes")
    for i in range(30):
        a.attrs["attribute%02d" % i] = "value %d" % i
    f["soft"] = h5py.SoftLink("/layouts/contiguous")
    f["types/near"] = h5py.SoftLink("i1")
    f["circle"] = h5py.SoftLink("/circle")
    f["outside"] = h5py.ExternalLink("other.h5", "/x")
    f["hard"] = f["layouts"]


with zipfile.ZipFile("files.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for name, args in {
        "earliest.h5": dict(libver=("earliest", "v110")),
        "tracked.h5": dict(libver=("earliest", "v110"), track_order=True),
        "v108.h5": dict(libver=("v108", "v108")),
        "v110.h5": dict(libver=("v110", "v110")),
    }.items():
        buf = io.BytesIO()
        with h5py.File(buf, "w", **args) as f:
            fill(f)
        z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), buf.getvalue(), zipfile.ZIP_DEFLATED)
