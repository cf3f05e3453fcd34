// What was shown and not named, the least certain first.

const most = 60;
const alike = 6; // of 64 bits that may differ between look-alikes

// fingerprint is the difference hash of a small picture: whether each of 8x8 spots
// is brighter than its right neighbour (Krawetz, "Kind of Like That", 2013).
export async function fingerprint(thumb) {
  if (!thumb.startsWith("data:")) return null;
  const img = new Image();
  img.src = thumb;
  await img.decode();
  const c = Object.assign(document.createElement("canvas"), { width: 9, height: 8 });
  const g = c.getContext("2d", { willReadFrequently: true });
  g.drawImage(img, 0, 0, 9, 8);
  const px = g.getImageData(0, 0, 9, 8).data;
  const grey = (x, y) => { const i = 4 * (9 * y + x); return px[i] * 3 + px[i + 1] * 6 + px[i + 2]; };
  const bits = [];
  for (let y = 0; y < 8; y++) for (let x = 0; x < 8; x++) bits.push(grey(x, y) > grey(x + 1, y));
  return bits;
}

const differ = (a, b) => a.reduce((n, bit, i) => n + (bit !== b[i]), 0);

// certainty is how far the best guess is ahead of the second.
export const certainty = (list) => (list[0]?.p ?? 0) - (list[1]?.p ?? 0);

export class Queue {
  items = [];

  // add puts a thing in its place. Of those that look alike it is the one shown.
  add(item) {
    const twin = item.print && this.items.find((o) => o.print && differ(o.print, item.print) <= alike);
    item.alike = (twin?.alike ?? 0) + 1;
    this.items = [...this.items.filter((o) => o !== twin), item];
    this.items.sort((a, b) => a.certainty - b.certainty);
    this.items.length = Math.min(this.items.length, most);
  }

  remove(item) { this.items = this.items.filter((o) => o !== item); }

  // forget drops a thing that has got its name, and its look-alikes.
  forget(item) {
    this.items = this.items.filter((o) => o !== item && !(o.print && item.print && differ(o.print, item.print) <= alike));
  }
}
