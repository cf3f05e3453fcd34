"""Tokenizers of whet beside Hugging Face's `tokenizers`, id for id.

    pip install tokenizers sentencepiece
    python3 test/token/compare.py --material DIR [--tokenizer FILE.json ...]

Texts: all lines of datasets/text/sms_spam, samples of many scripts, every code point, and made-up mixtures of emoji,
control characters, combining marks and white space. Tokenizers: one of each kind trained on the SMS, and the files given.
"""
import argparse, json, pathlib, random, subprocess, sys, tempfile

from tokenizers import Tokenizer, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import AddedToken

ROOT = pathlib.Path(__file__).resolve().parents[2]

SCRIPTS = """The quick brown fox jumps over the lazy dog. Don't we'll I'D THEY'RE it's 12345 3.14 1,000,000 £5 €20 ½ Ⅻ ²
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. STRASSE ẞ İstanbul ıI naïve café cafe\u0301 ﬁ ﬂ
Съешь же ещё этих мягких французских булок, да выпей чаю. Ёлка ё
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ΌΔΟΣ ΣΊΣΥΦΟΣ
いろはにほへと ちりぬるを カタカナ ｶﾀｶﾅ ﾊﾟ 漢字かな交じり文。「東京」㍻ ㌔ ①②
敏捷的棕色狐狸跳过了懒狗。繁體中文，標點符號！？ 𠀀𪜀
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 각
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ﷺ ٠١٢٣ لا
דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश क्षि
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน
Tiếng Việt có dấu: Bầu trời xanh, nước biếc, người người hạnh phúc.
👍👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ 1️⃣ 😀😃🤣 ☕️ 🏴‍☠️ ™ ©️
tab\there\r\nline\u2028sep\u2029par\u00a0nbsp\u3000wide\u200bzero\u200djoin\ufeffbom \u0000nul \u0007bell \u001b[0m \x7f \u0085 \u00ad
   leading and trailing   and    many   spaces   \n\n\n  \t\t end
http://example.org/a?b=c&d=%20#x user@example.com #hash @name $HOME C:\\x\\y {"k": [1, 2]} <b>bold</b> a_b-c--d ... !!! ?!
ＦＵＬＬ ｗｉｄｔｈ １２３ 𝒜𝓁𝓅𝒽𝒶 ℌ ﬀ ǅ ŉ ß ſ K Å Ω ﹏ ‥ … ‘’ “” « » – —
[CLS] [MASK] hello [MASK]. <s> </s> <unk> <|endoftext|> [SEP][PAD]x
ÀÁÂÃÄÅ a\u0300\u0301\u0302\u0303 q\u0323\u0307 q\u0307\u0323 \u0301alone Ǻ \u1e9b\u0323""".split("\n")


def texts(material):
    lines = [l.rstrip("\n").split("\t", 1)[-1] for p in [material / "datasets/text/sms_spam/SMSSpamCollection"] for l in open(p, encoding="utf-8", newline="\n")]
    sms = len(lines)
    if sms < 5000:
        sys.exit(f"{material}/datasets/text/sms_spam: {sms} lines only")
    lines += SCRIPTS
    points = [c for c in known() if not rare(c) and c not in MOVED]
    lines += ["a" + chr(c) + "b " + chr(c) + "1" + chr(c) for c in points]
    rng = random.Random(1)
    words = " ".join(SCRIPTS + lines[:500]).split(" ")
    odd = [chr(c) for c in points if c < 0x3000] + list("👍🏽❤️\u200d🇩🇪\u0301\u0300\u0327   \t\n\r\u3000\u00a0")
    for _ in range(10000):
        parts = []
        for _ in range(rng.randint(1, 12)):
            k = rng.random()
            parts.append(rng.choice(words) if k < 0.5 else "".join(rng.choice(odd) for _ in range(rng.randint(1, 4))) if k < 0.8 else rng.choice([" ", "  ", "\n", "'s", "12", "!?", "É", "日本"]))
            parts.append(" " if rng.random() < 0.7 else "")
        lines.append("".join(parts))
    return sms, lines


# Characters whose class Unicode has changed since version 8.
MOVED = {0x166D, 0x111C9, 0x1CF2, 0x1CF3, 0x1734, 0x1885, 0x1886, 0xA9BD}


def known():
    """The characters of Unicode 8, by perl: the reference's tables are of that age, Go's younger."""
    r = subprocess.run(["perl", "-e", 'for (0..0x10ffff) { next if $_ >= 0xd800 && $_ < 0xe000; print "$_ " if chr =~ /\\p{Present_In: 8.0}/ && chr !~ /\\p{Co}|\\p{Cn}/ }'],
                       capture_output=True, text=True, check=True)
    return [int(c) for c in r.stdout.split()]


def rare(c):
    """Of the large blocks whose characters are all alike, a sample will do."""
    return 0x3400 < c < 0x9fff and c % 37 or 0xac00 < c < 0xd7a3 and c % 37 or 0x20000 < c < 0x323af and c % 997


def trained(corpus, folder):
    """One tokenizer of each kind, as people train them."""
    def save(name, t, trainer):
        trainer.show_progress = False
        t.train_from_iterator(corpus, trainer)
        path = folder / f"{name}.json"
        return path, t

    def done(path, t):
        t.save(str(path))
        return path

    bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    bert.normalizer, bert.pre_tokenizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False), pre_tokenizers.BertPreTokenizer()
    p, t = save("wordpiece-cased", bert, trainers.WordPieceTrainer(vocab_size=4000, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece()
    yield done(p, t)

    gpt = Tokenizer(models.BPE())
    gpt.pre_tokenizer, gpt.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    p, t = save("bytes", gpt, trainers.BpeTrainer(vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>", "<mask>"]))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    yield done(p, t)

    llama3 = Tokenizer(models.BPE(ignore_merges=True))
    llama3.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    llama3.decoder = decoders.ByteLevel()
    yield done(*save("cl100k", llama3, trainers.BpeTrainer(vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())))

    llama = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    llama.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    llama.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    llama.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    p, t = save("llama", llama, trainers.BpeTrainer(vocab_size=3000, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    t.pre_tokenizer = None
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    yield done(p, t)

    uni = Tokenizer(models.Unigram())
    uni.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Lowercase()])
    uni.pre_tokenizer, uni.decoder = pre_tokenizers.Metaspace(prepend_scheme="first"), decoders.Metaspace(prepend_scheme="first")
    p, t = save("unigram", uni, trainers.UnigramTrainer(vocab_size=3000, unk_token="<unk>", special_tokens=["<unk>", "<s>", "</s>"]))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    yield done(p, t)

    words = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    words.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Strip()])
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_next")])
    yield done(*save("words", words, trainers.WordPieceTrainer(vocab_size=3000, special_tokens=["[UNK]"])))

    yield sentencepiece(corpus, folder)


def sentencepiece(corpus, folder):
    """A unigram model of SentencePiece itself, with its precompiled table, as converters write it (T5, XLM-R)."""
    import base64, sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as pb
    plain = folder / "sms.txt"
    plain.write_text("\n".join(corpus), encoding="utf-8")
    spm.SentencePieceTrainer.train(input=str(plain), model_prefix=str(folder / "sp"), vocab_size=2000, character_coverage=0.999, minloglevel=2)
    m = pb.ModelProto()
    m.ParseFromString((folder / "sp.model").read_bytes())
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in m.pieces], 0, False))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(m.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    t.add_special_tokens(["<s>", "</s>"])
    path = folder / "sentencepiece.json"
    t.save(str(path))
    return path


def reference(path):
    if path.name == "encoder.json":  # GPT-2's two files
        t = Tokenizer(models.BPE.from_file(str(path), str(path.with_name("vocab.bpe"))))
        t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        t.add_special_tokens(["<|endoftext|>"])
        return t
    return Tokenizer.from_file(str(path))


def pairs(program, path, t, lines):
    """Each text with another one, whole and cut to 24 ids: ids and types."""
    both = list(zip(lines, lines[7:] + lines[:7]))
    bad = 0
    for length in -1, 24:
        if length > 0:
            t.enable_truncation(length)
        stdin = "\n".join(json.dumps([a, b, length]) for a, b in both)
        r = subprocess.run([program, path], input=stdin, capture_output=True, text=True, encoding="utf-8", check=True)
        ours = [json.loads(l) for l in r.stdout.strip().split("\n")]
        theirs = t.encode_batch(both)
        wrong = [i for i, e in enumerate(theirs) if ours[i]["ids"] != e.ids or (ours[i]["types"] or []) != e.type_ids]
        print(f"    {len(both)} pairs {'whole' if length < 0 else f'of at most {length}'}: {len(wrong)} differ")
        for i in wrong[:3]:
            print("   ", ascii(both[i])[:200], "\n      whet:", ours[i], "\n      reference:", theirs[i].ids, theirs[i].type_ids)
        bad += bool(wrong)
    return bad


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--material", type=pathlib.Path, required=True)
    a.add_argument("--tokenizer", type=pathlib.Path, action="append", default=[], help="a tokenizer.json, or GPT-2's encoder.json (repeatable)")
    a.add_argument("--show", type=int, default=5, help="how many differences to print")
    o = a.parse_args()
    sms, lines = texts(o.material)
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        subprocess.run(["go", "build", "-o", tmp / "token", "./test/token"], cwd=ROOT, check=True)
        stdin = "\n".join(json.dumps(l) for l in lines)
        for path in [*trained(lines[:sms], tmp), *o.tokenizer]:
            t = reference(path)
            t.no_truncation(), t.no_padding()
            r = subprocess.run([tmp / "token", path], input=stdin, capture_output=True, text=True, encoding="utf-8")
            if r.returncode:
                print(f"{path.name}: {r.stderr.strip()}")
                failed += 1
                continue
            ours = [json.loads(l) for l in r.stdout.strip().split("\n")]
            theirs = [e.ids for e in t.encode_batch(lines)]
            back = t.decode_batch(theirs)
            wrong = [i for i in range(len(lines)) if ours[i]["ids"] != theirs[i]]
            undone = [i for i in range(len(lines)) if ours[i]["text"] != back[i] and i not in set(wrong)] if len(wrong) < 1000 else []
            print(f"{path.parent.name if path in o.tokenizer else 'trained'}/{path.name}: {len(lines)} texts ({sms} SMS), {len(wrong)} with other ids, {len(undone)} decoded to another text")
            for i in wrong[:o.show]:
                print("   ", ascii(lines[i])[:150], "\n      whet:", ours[i]["ids"][:30], "\n      reference:", theirs[i][:30] if theirs[i] else "nothing")
            for i in undone[:o.show]:
                print("   ", ascii(lines[i])[:150], "\n      whet:", ascii(ours[i]["text"])[:150], "\n      reference:", ascii(back[i])[:150])
            failed += bool(wrong or undone)
            failed += pairs(tmp / "token", path, t, lines)
    sys.exit(1 if failed else 0)


main()
