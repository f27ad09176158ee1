// What Node is tried with: node client.mjs fetch|http2 URL FILE. URL is that of `serve`, FILE lies below its root as /files/big.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import http2 from "node:http2";

const [kind, url, path] = process.argv.slice(2);
const file = readFileSync(path);
const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");
const filler = (n) => Buffer.from(Array.from({ length: n }, (_, i) => i % 251));

async function byFetch() {
  const body = async (path, options) => {
    const response = await fetch(url + path, options);
    assert.equal(response.status, 200, path);
    return Buffer.from(await response.arrayBuffer());
  };
  assert.deepEqual(await body("/bytes/1000"), filler(1000));
  assert.equal(sha(await body("/files/big")), sha(file));
  assert.equal(sha(await body("/echo", { method: "POST", body: file })), sha(file));
  for (let i = 0; i < 300; i++) assert.equal((await body(`/bytes/${i}`)).length, i);
  const many = await Promise.all(Array.from({ length: 50 }, (_, i) => body(`/bytes/${i * 1000}`)));
  many.forEach((bytes, i) => assert.equal(bytes.length, i * 1000));
}

async function byHttp2() {
  const session = http2.connect(url);
  session.on("error", (e) => { console.error(e); process.exit(1); });
  const exchange = (path, { method = "GET", body, trailers } = {}) =>
    new Promise((resolve, reject) => {
      const headers = { ":path": path, ":method": method };
      const stream = session.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
      const answer = { pieces: [] };
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      stream.on("response", (head) => { answer.status = head[":status"]; });
      stream.on("data", (piece) => answer.pieces.push(piece));
      stream.on("trailers", (fields) => { answer.trailers = { ...fields }; });
      stream.on("error", reject);
      stream.on("close", () => resolve({ ...answer, body: Buffer.concat(answer.pieces) }));
      if (body !== undefined) stream.end(body);
    });
  assert.deepEqual((await exchange("/bytes/1000")).body, filler(1000));
  assert.equal(sha((await exchange("/files/big")).body), sha(file));
  const echoed = await exchange("/echo", { method: "POST", body: file, trailers: { "x-sum": sha(file) } });
  assert.equal(sha(echoed.body), sha(file));
  assert.equal(echoed.trailers["x-sum"], sha(file));
  for (let i = 0; i < 300; i++) assert.equal((await exchange(`/bytes/${i}`)).body.length, i);
  const many = await Promise.all(Array.from({ length: 100 }, (_, i) => exchange(`/bytes/${i * 1000}`)));
  many.forEach(({ status, body }, i) => assert.deepEqual([status, body.length], [200, i * 1000]));
  const pinged = await new Promise((resolve) => session.ping((e, ms) => resolve(e ? -1 : ms)));
  assert.ok(pinged >= 0);
  await new Promise((resolve) => session.close(resolve));
}

await { fetch: byFetch, http2: byHttp2 }[kind]();
