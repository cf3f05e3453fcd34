// node page.mjs URL DEVICE FOLDER walks through the page as a person would and
// tries every control on the way. It fails at the first thing that is not as it
// should be. A URL with /pair/ in it is a link that lets this browser in.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { launch, seen } from "./browser.mjs";

const [link, device, folder] = process.argv.slice(2);
const url = new URL(link).origin;
const names = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
const fresh = ["Bag", "Ankle boot"]; // that the model does not know

const { page, faults, close, text, best, says, shot, accessible } = await launch(url, device);
const files = (class_, from = "") => Array.from({ length: 10 }, (_, i) => `${folder}${from}/${class_}/${i + 1}.png`);
const tab = (name) => page.getByRole("tab", { name }).click();

if (link !== url && link !== `${url}/`) {
  const stranger = await page.goto(url);
  assert.equal(stranger.status(), 401);
  assert.match(await text("body"), /Not paired/);
  await page.goto(link);
  await page.getByRole("button", { name: "Pair" }).click();
  await page.getByRole("link", { name: "Open the page" }).click();
  await page.waitForURL(`${url}/`);
  faults.length = 0; // the 401 was asked for
  seen("a stranger sees nothing; the link lets this browser in");
} else {
  await page.goto(url);
}
await page.waitForSelector("#chips button");
const known = await page.locator("#chips button").allInnerTexts();
assert.equal(known.length, 8);
const nameOf = (c) => known[c] ?? names[c];
seen(`the page is open; the model knows ${known.join(", ")}`);
await accessible("at first");
await shot("first");

// Draw.
const pad = await page.locator("#pad").boundingBox();
const stroke = async (...points) => {
  const at = ([x, y]) => [pad.x + x * pad.width, pad.y + y * pad.height];
  await page.mouse.move(...at(points[0]));
  await page.mouse.down();
  for (const p of points) await page.mouse.move(...at(p), { steps: 5 });
  await page.mouse.up();
};
await stroke([0.35, 0.2], [0.3, 0.8], [0.45, 0.8], [0.5, 0.4], [0.55, 0.8], [0.7, 0.8], [0.65, 0.2], [0.35, 0.2]);
await page.waitForSelector("#answer li");
seen(`a drawing is taken for ${(await best()).replace("\n", ", ")}`);
assert.equal(await page.locator("#queue li").count(), 1, "what was not named waits");
await page.getByText("centre it").click();
await page.click("#clear");
await page.locator("#queue .away").first().click();
assert.equal(await page.locator("#queue li").count(), 0);
seen("the drawing is wiped away and dropped from the list");

// Camera: frames come live, a picture can be taken.
await tab("Camera");
await page.waitForSelector("#snap:enabled");
await page.waitForFunction(() => document.querySelector("#stage video").currentTime > 0);
await page.click("#snap");
await page.waitForFunction(() => document.querySelectorAll("#queue li").length > 0);
seen("the camera shows what the model takes its picture for");
await tab("Picture");
while (await page.locator("#queue li").count()) await page.locator("#queue .away").first().click();

// Pictures, a folder of each name at once.
await page.setInputFiles("#file", [files(8)[0]]);
await page.waitForSelector("#answer li");
const wrong = await best();
assert.ok(!wrong.includes(nameOf(8)), "it does not know a bag yet");
await page.click("#queue button[title]");
await page.fill("#label", "Mistake");
await page.press("#label", "Enter");
await page.waitForSelector("#counts td");
assert.match(await text("#plan"), /something else/);
await page.click("#browse summary");
await page.waitForSelector("#samples img");
await page.click("#samples .away");
await page.waitForFunction(() => !document.querySelector("#counts td"));
await page.click("#browse summary");
seen("an example with a wrong name is deleted again");
for (let c = 0; c < 10; c++) {
  await page.setInputFiles("#file", files(c));
  await page.waitForFunction(() => document.querySelector("#keep").textContent.includes("10 examples"));
  if (c < 8) {
    await page.locator("#chips button", { hasText: new RegExp(`^${known[c].replace(/[^\w ]/g, ".")}$`) }).click();
  } else {
    await page.fill("#label", nameOf(c));
    await page.click("#keep");
  }
  await page.waitForFunction((n) => document.querySelectorAll("#counts tbody tr").length === n, c + 1);
}
seen(`ten examples each of ${(await page.locator("#counts tbody td:first-child").allInnerTexts()).join(", ")}`);

// Teach.
await page.check("input[value=only]");
await page.waitForFunction(() => /know 10 names/.test(document.querySelector("#plan").textContent));
await page.check("input[value=add]");
await page.waitForSelector("#teach:enabled");
seen(`before the start: ${await text("#plan")}`);
await page.click("#teach");
await page.waitForFunction(() => /^(Learned|Not taken|failed)/.test(document.querySelector("#verdict").textContent));
assert.match(await text("#verdict"), /^Learned; version 2 answers/);
assert.ok(await page.isVisible("#curve svg"), "there is a learning curve");
assert.ok(await page.isVisible("#confusion table"), "there is a table of confusions");
seen(await text("#verdict"));
await accessible("after teaching");
await shot("taught");

// It is right about new examples of what it was taught.
let right = 0;
for (const c of [8, 9]) {
  for (const f of files(c, "/held")) {
    await page.evaluate(() => document.querySelector("#answer").replaceChildren());
    await page.setInputFiles("#file", [f]);
    await page.waitForSelector("#answer li");
    if ((await best()).startsWith(nameOf(c))) right++;
  }
}
seen(`${right} of 20 held-back pictures of ${fresh.join(" and ")} are named`);
assert.ok(right >= 16);
await page.click("#why");
await page.waitForSelector("#map canvas");
assert.match(await page.getAttribute("#map canvas", "aria-label"), /looked/);
seen("it shows where it looked");

// Back, and to the new one again.
await page.click("#back");
await page.waitForFunction(() => document.querySelector("#version").textContent === "as it came");
await page.getByRole("button", { name: "Use version 2" }).click();
await page.waitForFunction(() => document.querySelector("#version").textContent === "version 2");
seen("one click goes back, one takes the new one again");

// A reload shows the last training.
await page.reload();
await page.waitForSelector("#confusion table");
assert.match(await text("#verdict"), /^Learned/);
seen("after a reload the verdict is still there");
assert.ok((await text("#board")).includes("Cores"));

// Drift: the usual pictures first, then their negatives. The page finds out by itself.
const ask = (urls, count, negative) => page.evaluate(async ([urls, count, negative]) => {
  const blobs = await Promise.all(urls.map(async (u) => {
    const img = Object.assign(new Image(), { src: u });
    await img.decode();
    const c = new OffscreenCanvas(img.width, img.height);
    const g = c.getContext("2d");
    g.filter = negative ? "invert(1)" : "none";
    g.drawImage(img, 0, 0);
    return c.convertToBlob({ type: "image/png" });
  }));
  const model = document.querySelector("#model").value;
  let next = 0;
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (next < count) {
      const body = blobs[(next++ * 37) % blobs.length];
      const reply = await fetch(`v2/models/${model}/infer`, { method: "POST", headers: { "Content-Type": body.type }, body });
      if (!reply.ok) throw new Error(await reply.text());
    }
  }));
}, [urls, count, negative]);
const shown = names.flatMap((_, c) => files(c)).map((f) => `data:image/png;base64,${readFileSync(f).toString("base64")}`);
await ask(shown, 520, false);
await says("#drift", "compares the next|usually is");
await ask(shown, 320, true);
await says("#drift", "other things than it was, since");
assert.match(await text("#drift"), /brightness, channel 1\s+\d+\.\d+\s+\d+\.\d+\s+moved/);
seen(`drift: ${(await text("#drift p >> nth=0")).trim()}`);
await accessible("with drift");
await shot("drift");
await page.focus("#drift-teach");
await page.keyboard.press("Enter");
await says("#verdict", "^(Learned|Not taken|failed)");
assert.match(await text("#verdict"), /^Learned as version 3/);
await says("#trial", "Version 3 answers 10.0 % of the requests");
seen(`the proposed job by keyboard: ${await text("#trial p >> nth=0")}`);
await ask(shown, 60, false);
await says("#trial", "answered\\s*[1-9]");
await accessible("during a trial");
await shot("trial");
await page.click("#trial-end");
await says("#trial", "Version 3 was taken back: by request");
await page.getByRole("button", { name: "Try version 3 on a tenth" }).click();
await says("#trial", "Version 3 answers 10.0 %");
assert.match(await text("#trial"), /is slower\s+\d+ of \d+/);
await page.click("#trial-end");
await says("#trial", "was taken back");
await page.click("#drift-usual");
await says("#drift", "It learns what it is usually shown");
seen("a trial is ended and begun anew; the new things are declared the usual");

// The board is hot: training rests, and can be stopped. On the phone's board, which is a
// program of its own, only the answer is made up.
if (device === "phone") {
  await page.route("**/v2/board", async (r) => {
    const reply = await r.fetch();
    await r.fulfill({ response: reply, json: { ...await reply.json(), governor: { training: "paused", rate: 0.81, reason: "heat" } } });
  });
} else {
  writeFileSync(`${folder}/hot`, "");
  await ask(shown, 20, false);
}
await says("#rests", "^Training rests: the board is hot; it goes on by itself");
if (device !== "phone") {
  await page.waitForSelector("#teach:enabled");
  await page.click("#teach");
  await page.waitForSelector("#stop:visible");
  await page.click("#stop");
  await says("#verdict", "^Stopped");
}
await shot("hot");
seen(`the governor: ${await text("#rests")}`);

// By keyboard alone: from the top to the keep button.
await page.evaluate(() => document.activeElement.blur());
const order = [];
for (let i = 0; i < 40 && order.at(-1) !== "teach"; i++) {
  await page.keyboard.press("Tab");
  order.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
}
assert.ok(order.includes("model") && order.includes("pad") && order.includes("label"), `by Tab one reaches ${order}`);
assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, "nothing is wider than the screen");
assert.deepEqual(faults, []);
seen("no error, no request to anyone else");
await close();
