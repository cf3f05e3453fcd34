// What the walks through the page share: a browser in which nothing may go wrong
// quietly and nothing may leave the daemon.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.WHET_SHOTS;
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const desktop = { viewport: { width: 1280, height: 900 } };

let act = 0;
export const seen = (what) => console.log(`${++act}. ${what}`);

// launch opens a page for the daemon at url, on a device's width. microphone names a
// sound file that the browser takes for one.
export async function launch(url, device, { microphone } = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.WHET_BROWSER,
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
      ...(microphone ? [`--use-file-for-fake-audio-capture=${microphone}%noloop`] : [])],
  });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...(device === "phone" ? phone : desktop) });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  const faults = [];
  page.on("console", (m) => { if (m.type() === "error") faults.push(`console: ${m.text()}`); });
  page.on("pageerror", (e) => faults.push(`uncaught: ${e.message}`));
  page.on("request", (r) => { if (!r.url().startsWith(url) && !/^(blob|data):/.test(r.url())) faults.push(`outside: ${r.url()}`); });
  return {
    page, faults,
    close: () => browser.close(),
    text: (sel) => page.locator(sel).innerText(),
    best: () => page.locator("#answer li").first().innerText(),
    says: (sel, pattern) => page.waitForFunction(([s, p]) => new RegExp(p).test(document.querySelector(s).textContent), [sel, pattern]),
    async shot(name) {
      if (!shots) return;
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: `${shots}/${device}-${name}.png`, fullPage: true });
    },
    async accessible(where) {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      const bad = violations.filter((v) => ["serious", "critical"].includes(v.impact));
      assert.deepEqual(bad.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(" ")}`), [], `axe, ${where}`);
    },
  };
}
