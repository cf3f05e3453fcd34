// What the model looked at: the fall of its first choice's share when a part of the
// input is covered (occlusion; Zeiler and Fergus, "Visualizing and Understanding
// Convolutional Networks", 2014). It needs nothing but answers.

const spots = 7;    // across and down a picture
const pieces = 20;  // of a sound
const most = 160;   // pixels of the picture drawn

// fall returns how far the share of label falls when the model is shown blob.
async function fall(guess, blob, label, p) {
  const { list } = await guess(blob);
  return Math.max(0, p - (list.find((x) => x.label === label)?.p ?? 0));
}

// explain draws into a canvas which parts of what was shown mattered: guess(blob)
// asks the model. It returns the canvas, or null for what it cannot cover.
export async function explain(blob, guess, progress) {
  const { list } = await guess(blob);
  const [{ label, p }] = list;
  const canvas = document.createElement("canvas");
  const g = canvas.getContext("2d");
  const falls = [];
  if (blob.type.startsWith("image/")) {
    const picture = await createImageBitmap(blob);
    const { width: w, height: h } = picture;
    const k = most / Math.max(w, h);
    Object.assign(canvas, { width: Math.round(w * k), height: Math.round(h * k) });
    const cover = new OffscreenCanvas(w, h);
    const cg = cover.getContext("2d");
    for (let i = 0; i < spots * spots; i++) {
      cg.drawImage(picture, 0, 0);
      cg.fillStyle = "#808080";
      cg.fillRect(((i % spots) * w) / spots, (Math.floor(i / spots) * h) / spots, w / spots, h / spots);
      falls.push(await fall(guess, await cover.convertToBlob({ type: "image/png" }), label, p));
      progress((i + 1) / spots / spots);
    }
    // Dark where nothing was lost, clear where much was.
    g.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const top = Math.max(...falls, 1e-6);
    falls.forEach((f, i) => {
      g.fillStyle = `rgba(0, 20, 30, ${0.75 * (1 - f / top)})`;
      const x = Math.floor(((i % spots) * canvas.width) / spots), y = Math.floor((Math.floor(i / spots) * canvas.height) / spots);
      g.fillRect(x, y, Math.ceil(canvas.width / spots), Math.ceil(canvas.height / spots));
    });
  } else if (blob.type === "audio/wav") {
    const bytes = await blob.arrayBuffer();
    const n = (bytes.byteLength - 44) / 2; // as senses.js makes them
    Object.assign(canvas, { width: 2 * most, height: most / 2 });
    for (let i = 0; i < pieces; i++) {
      const covered = bytes.slice(0);
      new Int16Array(covered, 44).fill(0, Math.floor((i * n) / pieces), Math.floor(((i + 1) * n) / pieces));
      falls.push(await fall(guess, new Blob([covered], { type: blob.type }), label, p));
      progress((i + 1) / pieces);
    }
    const wave = new Int16Array(bytes, 44);
    const top = Math.max(...falls, 1e-6);
    for (let x = 0; x < canvas.width; x++) {
      const from = Math.floor((x * n) / canvas.width), to = Math.floor(((x + 1) * n) / canvas.width);
      let loud = 0;
      for (let j = from; j < to; j++) loud = Math.max(loud, Math.abs(wave[j]) / 32768);
      g.globalAlpha = 0.15 + (0.85 * falls[Math.min(pieces - 1, Math.floor((x * pieces) / canvas.width))]) / top;
      g.fillStyle = "#14a0b8";
      g.fillRect(x, canvas.height * (0.5 - loud / 2), 1, Math.max(1, canvas.height * loud));
    }
  } else {
    return null;
  }
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Where the model looked to say ${label}`);
  return canvas;
}
