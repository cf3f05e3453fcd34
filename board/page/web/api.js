// The daemon's HTTP interface, as the page uses it.

const store = window.localStorage;
let askToken = async () => { throw new Error("a token is needed"); };

// onTokenNeeded sets what asks the person for a token.
export function onTokenNeeded(f) { askToken = f; }

export function setToken(t) { store.setItem("whet-token", t); }

// call sends a request and returns the reply's JSON. An error has the daemon's words.
async function call(method, path, body, media) {
  const headers = {};
  const token = store.getItem("whet-token");
  if (token) headers.Authorization = `Bearer ${token}`;
  if (media) headers["Content-Type"] = media;
  else if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const reply = await fetch(path, { method, headers, body });
  if (reply.status === 401) {
    setToken(await askToken());
    return call(method, path, body, headers["Content-Type"]);
  }
  return reply;
}

async function json(method, path, body, media) {
  const reply = await call(method, path, body, media);
  let value = null;
  try { value = await reply.json(); } catch { /* told apart below */ }
  if (!reply.ok) {
    const e = new Error(value?.error ?? `the board answered ${reply.status}`);
    e.status = reply.status;
    throw e;
  }
  return value;
}

const at = (model, rest) => `v2/models/${encodeURIComponent(model)}${rest}`;

export const models = () => json("POST", "v2/repository/index", {});
export const about = (m) => json("GET", at(m, "/about"));
export const board = () => json("GET", "v2/board");
export const samples = (m, after = 0, limit = 200) => json("GET", at(m, `/samples?after=${after}&limit=${limit}`));
export const keep = (m, blob, label) => json("POST", at(m, `/samples?label=${encodeURIComponent(label)}`), blob, blob.type);
export const discard = (m, id) => json("DELETE", at(m, `/samples/${id}`));
export const plan = (m, options) => json("POST", at(m, "/train/plan"), options);
export const teach = (m, options) => json("POST", at(m, "/train"), options);
export const training = (m) => json("GET", at(m, "/train"));
export const stopTraining = (m) => json("DELETE", at(m, "/train"));
export const versions = (m) => json("GET", at(m, "/versions"));
export const promote = (m, version) => json("POST", at(m, "/promote"), { version });
export const rollback = (m) => json("POST", at(m, "/rollback"), {});
export const drift = (m) => json("GET", at(m, "/drift"));
export const forgetUsual = (m) => json("DELETE", at(m, "/drift"));
export const trial = (m) => json("GET", at(m, "/canary"));
export const tryOut = (m, version) => json("POST", at(m, "/canary"), { version, promote: true });
export const endTrial = (m) => json("DELETE", at(m, "/canary"));

// sampleFile returns a sample as it came.
export async function sampleFile(m, id) {
  const reply = await call("GET", at(m, `/samples/${id}`));
  if (!reply.ok) throw new Error(`sample ${id} cannot be read`);
  return reply.blob();
}

// guess shows the model a file and returns what it takes it for: {label, p} in
// falling order of p, and the milliseconds from here to there and back.
export async function guess(m, blob, classes) {
  const begin = performance.now();
  const reply = await json("POST", at(m, `/infer?classification=${Math.max(classes, 1)}`), blob, blob.type);
  const ms = performance.now() - begin;
  const list = reply.outputs[0].data.map((line) => {
    const [value, index, ...label] = line.split(":");
    return { p: Number(value), label: label.join(":") || `class ${index}` };
  });
  return { list: probabilities(list), ms, version: reply.model_version };
}

// probabilities leaves what may be probabilities as it is; other scores go through
// softmax. In 8 bits those of a thousand classes add up to much less than one: what is
// below 1/512 has become 0.
function probabilities(list) {
  const sum = list.reduce((s, x) => s + x.p, 0);
  if (list.every((x) => x.p >= 0) && sum < 1.1) return list;
  const top = list[0]?.p ?? 0;
  const all = list.reduce((s, x) => s + Math.exp(x.p - top), 0);
  return list.map((x) => ({ ...x, p: Math.exp(x.p - top) / all }));
}
