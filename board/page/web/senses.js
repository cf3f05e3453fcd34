// Ways to show the model something. Each is {name, open(stage, show)}: open fills
// the stage and calls show(blob, thumb, how) with a file for the daemon and the
// address of a small picture of it (or a text). how is {live: true} for a frame that
// nobody asked for, {batch: n} for one of n files chosen together. open returns what
// closes it again.

const el = (tag, props = {}, ...kids) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...kids);
  return e;
};

const toBlob = (canvas, type, quality) => new Promise((done) => canvas.toBlob(done, type, quality));

function small(source, w, h) {
  const c = el("canvas", { width: 80, height: 80 });
  const k = Math.min(80 / w, 80 / h);
  c.getContext("2d").drawImage(source, (80 - w * k) / 2, (80 - h * k) / 2, w * k, h * k);
  return c.toDataURL("image/png");
}

// centred copies a drawing so that its ink fills 20/28 of a square around its
// centre of mass, as the pictures of the MNIST digits were made (LeCun et al. 1998).
function centred(canvas) {
  const { width: w, height: h } = canvas;
  const px = canvas.getContext("2d").getImageData(0, 0, w, h).data;
  let x0 = w, x1 = -1, y0 = h, y1 = -1, mx = 0, my = 0, mass = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const v = px[4 * (y * w + x)];
      if (v < 32) continue;
      x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
      mx += v * x; my += v * y; mass += v;
    }
  }
  if (!mass) return null;
  const k = (w * 20) / 28 / Math.max(x1 - x0 + 1, y1 - y0 + 1);
  const out = el("canvas", { width: w, height: h });
  const g = out.getContext("2d");
  g.fillRect(0, 0, w, h);
  g.translate(w / 2 - (k * mx) / mass, h / 2 - (k * my) / mass);
  g.scale(k, k);
  g.drawImage(canvas, 0, 0);
  return out;
}

const draw = {
  name: "Draw",
  open(stage, show) {
    const pad = el("canvas", { width: 280, height: 280, id: "pad", tabIndex: 0 });
    pad.setAttribute("role", "img");
    pad.setAttribute("aria-label", "Drawing pad: draw with a finger or the mouse");
    const g = pad.getContext("2d", { willReadFrequently: true });
    const clear = () => { g.fillStyle = "#000"; g.fillRect(0, 0, 280, 280); };
    clear();
    let last = null;
    const spot = (e) => {
      const r = pad.getBoundingClientRect();
      return [((e.clientX - r.left) * 280) / r.width, ((e.clientY - r.top) * 280) / r.height];
    };
    const line = (to) => {
      Object.assign(g, { lineWidth: 20, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
      g.beginPath(); g.moveTo(...last); g.lineTo(...to); g.stroke();
      last = to;
    };
    pad.onpointerdown = (e) => { pad.setPointerCapture(e.pointerId); last = spot(e); line(last); };
    pad.onpointermove = (e) => { if (last) line(spot(e)); };
    pad.onpointerup = pad.onpointercancel = async () => {
      last = null;
      const pic = tidy.checked ? centred(pad) : pad;
      if (pic) show(await toBlob(pic, "image/png"), small(pic, 280, 280));
    };
    const tidy = el("input", { type: "checkbox", checked: true });
    const wipe = el("button", { className: "quiet", textContent: "Clear", id: "clear", onclick: clear });
    stage.append(pad, el("div", { className: "row" }, wipe, el("label", {}, tidy, " centre it")));
    return () => {};
  },
};

const picture = {
  name: "Picture",
  open(stage, show) {
    const img = el("img", { alt: "The picture shown", hidden: true });
    const input = el("input", { type: "file", accept: "image/*", multiple: true, id: "file" });
    const box = el("div", { className: "drop" }, el("label", { htmlFor: "file", textContent: "Pictures from this device, or drop them here" }), input);
    const take = async (all) => {
      const files = [...all].filter((f) => f.type.startsWith("image/"));
      for (const f of files) {
        URL.revokeObjectURL(img.src);
        img.src = URL.createObjectURL(f);
        img.hidden = false;
        await img.decode();
        // What the daemon does not decode (WebP, HEIC), and what is far larger than any model's input, is drawn anew.
        const plain = ["image/png", "image/jpeg", "image/bmp", "image/gif"].includes(f.type) && f.size < 1 << 20;
        await show(plain ? f : await redraw(img), small(img, img.naturalWidth, img.naturalHeight), { batch: files.length });
      }
    };
    input.onchange = () => take(input.files);
    box.ondragover = (e) => { e.preventDefault(); box.classList.add("over"); };
    box.ondragleave = () => box.classList.remove("over");
    box.ondrop = (e) => { e.preventDefault(); box.classList.remove("over"); take(e.dataTransfer.files); };
    stage.append(box, img);
    return () => URL.revokeObjectURL(img.src);
  },
};

async function redraw(img) {
  const k = Math.min(1, 1024 / Math.max(img.naturalWidth, img.naturalHeight));
  const c = el("canvas", { width: Math.max(1, Math.round(img.naturalWidth * k)), height: Math.max(1, Math.round(img.naturalHeight * k)) });
  c.getContext("2d").drawImage(img, 0, 0, c.width, c.height);
  return toBlob(c, "image/jpeg", 0.92);
}

// needsSecure tells why camera and microphone are closed to this page.
function needsSecure(stage, what) {
  if (navigator.mediaDevices) return false;
  stage.append(el("p", { className: "hint", textContent: `Browsers open the ${what} only to pages over https or from this machine.` }));
  return true;
}

const camera = {
  name: "Camera",
  open(stage, show) {
    if (needsSecure(stage, "camera")) return () => {};
    const video = el("video", { muted: true, playsInline: true, autoplay: true });
    const snap = el("button", { textContent: "Take a picture", id: "snap", disabled: true });
    stage.append(video, el("div", { className: "row" }, snap));
    let open = true, stream = null;
    const frame = async () => {
      const side = Math.min(video.videoWidth, video.videoHeight);
      const c = el("canvas", { width: 320, height: 320 });
      c.getContext("2d").drawImage(video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side, 0, 0, 320, 320);
      return [await toBlob(c, "image/jpeg", 0.9), small(c, 320, 320)];
    };
    (async () => {
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 640 } } });
      } catch (e) {
        stage.append(el("p", { className: "hint", textContent: `No camera: ${e.message}` }));
        return;
      }
      if (!open) { stream.getTracks().forEach((t) => t.stop()); return; }
      video.srcObject = stream;
      await video.play();
      snap.disabled = false;
      snap.onclick = async () => show(...await frame());
      while (open) { // one frame at a time: those that come meanwhile are dropped
        if (!document.hidden) await show(...await frame(), { live: true });
        await new Promise((f) => setTimeout(f, 60));
      }
    })();
    return () => { open = false; stream?.getTracks().forEach((t) => t.stop()); };
  },
};

// wav is a mono sound in 16 bits.
function wav(floats, rate) {
  const v = new DataView(new ArrayBuffer(44 + 2 * floats.length));
  const text = (o, s) => [...s].forEach((c, i) => v.setUint8(o + i, c.charCodeAt(0)));
  text(0, "RIFF"); v.setUint32(4, 36 + 2 * floats.length, true); text(8, "WAVEfmt ");
  v.setUint32(16, 16, true); v.setUint16(20, 1, true); v.setUint16(22, 1, true);
  v.setUint32(24, rate, true); v.setUint32(28, 2 * rate, true); v.setUint16(32, 2, true); v.setUint16(34, 16, true);
  text(36, "data"); v.setUint32(40, 2 * floats.length, true);
  floats.forEach((x, i) => v.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, x)) * 32767, true));
  return new Blob([v], { type: "audio/wav" });
}

function wave(floats) {
  const c = el("canvas", { width: 80, height: 80 });
  const g = c.getContext("2d");
  g.fillRect(0, 0, 80, 80);
  g.fillStyle = "#9fd0d8";
  const n = Math.max(1, Math.floor(floats.length / 80));
  for (let x = 0; x < 80; x++) {
    let top = 0;
    for (let i = x * n; i < Math.min((x + 1) * n, floats.length); i++) top = Math.max(top, Math.abs(floats[i]));
    g.fillRect(x, 40 - 38 * top, 1, Math.max(1, 76 * top));
  }
  return c.toDataURL("image/png");
}

// resample decodes a sound file to one channel at the model's rate.
async function resample(file, rate) {
  const raw = await file.arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(raw); // also to this rate
  const mix = new Float32Array(sound.length);
  for (let c = 0; c < sound.numberOfChannels; c++) {
    sound.getChannelData(c).forEach((x, i) => { mix[i] += x / sound.numberOfChannels; });
  }
  return mix;
}

const sound = (sense) => ({
  name: "Sound",
  open(stage, show) {
    const rate = sense.rate || 16000;
    const seconds = Math.max(0.5, (sense.samples || rate) / rate);
    const say = (floats, batch = 1) => show(wav(floats, rate), wave(floats), { batch });
    const input = el("input", { type: "file", accept: "audio/*", multiple: true, id: "file" });
    input.onchange = async () => { for (const f of input.files) await say(await resample(f, rate), input.files.length); };
    const record = el("button", { textContent: `Record ${seconds.toFixed(1)} s`, id: "record" });
    const level = el("p", { className: "hint" });
    stage.append(el("div", { className: "row" }, record), level,
      el("div", { className: "drop" }, el("label", { htmlFor: "file", textContent: "Sounds from this device" }), input));
    if (needsSecure(stage, "microphone")) record.disabled = true;
    record.onclick = async () => {
      record.disabled = true;
      let stream, ctx;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, autoGainControl: false, noiseSuppression: false } });
        ctx = new AudioContext({ sampleRate: rate });
        await ctx.audioWorklet.addModule(new URL("recorder.js", import.meta.url));
        const node = new AudioWorkletNode(ctx, "recorder");
        ctx.createMediaStreamSource(stream).connect(node);
        const floats = await new Promise((done) => {
          const parts = [];
          let n = 0;
          node.port.onmessage = ({ data }) => {
            parts.push(data); n += data.length;
            level.textContent = `${(n / rate).toFixed(1)} s`;
            if (n >= seconds * rate) done(new Float32Array(parts.flatMap((p) => [...p])).slice(0, Math.round(seconds * rate)));
          };
        });
        await say(floats);
      } catch (e) {
        level.textContent = `No microphone: ${e.message}`;
      } finally {
        stream?.getTracks().forEach((t) => t.stop());
        await ctx?.close();
        record.disabled = false;
      }
    };
    return () => {};
  },
});

const row = (sense) => ({
  name: "Numbers",
  open(stage, show) {
    const text = el("textarea", { id: "numbers", placeholder: `${sense.elements} numbers, with commas or spaces between them` });
    text.setAttribute("aria-label", `A row of ${sense.elements} numbers`);
    const go = el("button", { textContent: "Show", id: "show-numbers" });
    const hint = el("p", { className: "hint" });
    go.onclick = () => {
      const fields = text.value.split(/[\s,;]+/).filter(Boolean);
      const bad = fields.find((f) => !Number.isFinite(Number(f)));
      hint.textContent = bad !== undefined ? `"${bad}" is no number` : fields.length !== sense.elements ? `${fields.length} numbers; the model takes ${sense.elements}` : "";
      if (!hint.textContent) show(new Blob([fields.join(",") + "\n"], { type: "text/csv" }), fields.slice(0, 3).join(" ") + (fields.length > 3 ? " …" : ""));
    };
    stage.append(text, el("div", { className: "row" }, go), hint);
    return () => {};
  },
});

// sensesOf returns the ways that fit a model.
export function sensesOf(sense) {
  switch (sense.kind) {
    case "image": return sense.channels === 1 ? [draw, picture, camera] : [picture, camera, draw];
    case "audio": return [sound(sense)];
  }
  return [row(sense)];
}
