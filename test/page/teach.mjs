// node teach.mjs URL DEVICE FOLDER teaches what is in FOLDER/teach/NAME, and counts
// what of FOLDER/held/NAME is then called by its name. Sounds FOLDER/NAME.wav are
// held before the microphone.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { launch, seen } from "./browser.mjs";

const [url, device, folder] = process.argv.slice(2);
const names = readdirSync(`${folder}/teach`).sort();
const files = (part, name) => readdirSync(`${folder}/${part}/${name}`).map((f) => `${folder}/${part}/${name}/${f}`);
const { page, faults, close, text, best, says, shot } = await launch(url, device);

await page.goto(url);
await page.waitForSelector("#file, [role=tab]");
const show = async (list) => {
  await page.evaluate(() => document.querySelector("#answer").replaceChildren());
  await page.setInputFiles("#file", list);
  await page.waitForSelector("#answer li");
};
await show([files("held", names[0])[0]]);
seen(`before: one of "${names[0]}" is taken for ${(await best()).replace("\n", ", ")}`);
for (const [i, name] of names.entries()) {
  await page.setInputFiles("#file", files("teach", name));
  await says("#keep", `^Keep ${files("teach", name).length} examples`);
  await page.fill("#label", name);
  await page.press("#label", "Enter");
  await page.waitForFunction((n) => document.querySelectorAll("#counts tbody tr").length === n, i + 1);
}
await page.check("input[value=only]");
await says("#plan", `know ${names.length} names`);
seen(await text("#plan"));
const begin = Date.now();
await page.click("#teach");
await says("#verdict", "^(Learned|Not taken|failed)");
assert.match(await text("#verdict"), /^Learned; version 2 answers/);
seen(`${await text("#verdict")} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);

let right = 0, all = 0;
for (const name of names) {
  for (const f of files("held", name)) {
    await show([f]);
    all++;
    if ((await best()).startsWith(`${name}\n`)) right++;
  }
}
seen(`${right} of ${all} held-back examples of ${names.join(", ")} are called by their names: ${((100 * right) / all).toFixed(1)} %`);
await shot(`teach-${names.join("-")}`);
assert.deepEqual(faults, []);
await close();

const spoken = readdirSync(folder).filter((f) => f.endsWith(".wav"));
let heard = 0;
for (const f of spoken) {
  const b = await launch(url, device, { microphone: `${folder}/${f}` });
  await b.page.goto(url);
  await b.page.click("#record");
  await b.page.waitForSelector("#answer li");
  if ((await b.best()).startsWith(`${f.replace(/\.wav$/, "")}\n`)) heard++;
  assert.deepEqual(b.faults, []);
  await b.close();
}
if (spoken.length) seen(`${heard} of ${spoken.length} words spoken into the microphone are called by their names`);
assert.ok(right >= 0.9 * all, "at least nine of ten");
assert.equal(heard, spoken.length, "what is spoken is heard");
