// One check by Node's `http2` client, over one connection: client.mjs CHECK BASE_URL
//
// ROOT is the folder that is served, UPLOAD a file to send. A check that fails throws.
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";

const [check, base] = process.argv.slice(2);
const session = http2.connect(base, { rejectUnauthorized: false });

function pattern(length, seed) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = seed * 131 + i * 7 + (i >> 8) * 13;
  return bytes;
}

async function content(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function fetch(target, fields = {}, upload) {
  const stream = session.request({ ":path": target, ...fields });
  if (upload !== undefined) stream.end(upload);
  const [head] = await once(stream, "response");
  return { head, body: await content(stream), stream };
}

function same(body, expected) {
  assert.equal(body.length, expected.length);
  assert(body.equals(expected), "the content differs");
}

const file = (name) => fs.readFileSync(path.join(process.env.ROOT, name));

async function text(expected, status, target, fields, upload) {
  const { head, body } = await fetch(target, fields, upload);
  assert.equal(head[":status"], status);
  if (expected !== undefined) assert.equal(String(body), expected);
}

const checks = {
  async page() {
    const { head, body } = await fetch("/page.html");
    assert.equal(head[":status"], 200);
    assert.match(head["content-type"], /^text\/html/);
    assert.equal(head["content-length"], String(body.length));
    same(body, file("page.html"));
  },
  async head() {
    const { head, body } = await fetch("/page.html", { ":method": "HEAD" });
    assert.equal(head[":status"], 200);
    assert.equal(head["content-length"], String(file("page.html").length));
    assert.equal(body.length, 0);
  },
  async missing() {
    const { head } = await fetch("/no/such/page.html");
    assert.equal(head[":status"], 404);
  },
  async download() {
    const { head, body } = await fetch("/download.bin");
    assert.equal(head[":status"], 200);
    same(body, file("download.bin"));
  },
  async upload() {
    const stream = session.request({ ":path": "/echo", ":method": "POST" });
    fs.createReadStream(process.env.UPLOAD).pipe(stream);
    const [head] = await once(stream, "response");
    assert.equal(head[":status"], 200);
    same(await content(stream), fs.readFileSync(process.env.UPLOAD));
  },
  async parallel() {
    const one = async (seed) => {
      const { head, body } = await fetch(`/bytes/${seed * 1000}?seed=${seed}`);
      assert.equal(head[":status"], 200);
      same(body, pattern(seed * 1000, seed));
    };
    await Promise.all(Array.from({ length: 100 }, (_, seed) => one(seed)));
  },
  async cancel() {
    for (let i = 0; i < 50; i++) {
      const stream = session.request({ ":path": "/bytes/1000000000" });
      await once(stream, "data");
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await once(stream, "close");
    }
    const { body } = await fetch("/bytes/300000?seed=3");
    same(body, pattern(300000, 3));
  },
  async trailers() {
    const stream = session.request({
      ":path": "/echo.Echo/Unary",
      ":method": "POST",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const message = Buffer.from("\0\0\0\0\x03abc", "latin1");
    stream.end(message);
    const trailers = once(stream, "trailers");
    same(await content(stream), message);
    const [fields] = await trailers;
    assert.equal(fields["grpc-status"], "0");
  },
  async hello() {
    await text("hello, Node\nhello, Node\n", 200, "/hello/Node?times=2");
    await text(undefined, 400, "/hello/Node?times=x");
  },
  async sum() {
    const fields = { ":method": "POST", "content-type": "application/json" };
    await text('{"sum":42}', 200, "/sum", fields, "[1, 2, 39]");
    await text(undefined, 400, "/sum", fields, "[1, 2");
  },
  // The next piece is sent when the last was received.
  async upper() {
    const stream = session.request({ ":path": "/upper", ":method": "POST" });
    const [head] = await once(stream, "response");
    assert.equal(head[":status"], 200);
    for (let i = 0; i < 100; i++) {
      const received = once(stream, "data");
      stream.write(`piece ${i};`);
      assert.equal(String((await received)[0]), `PIECE ${i};`);
    }
    stream.end();
    await once(stream, "end");
  },
  async events() {
    const stream = session.request({ ":path": "/ticks" });
    const [head] = await once(stream, "response");
    assert.equal(head["content-type"], "text/event-stream");
    const expected = [0, 1, 2].map((number) => `event: tick\ndata: ${number}\n\n`).join("");
    let received = "";
    while (received.length < expected.length) received += (await once(stream, "data"))[0];
    assert.equal(received, expected);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await text("hello, again\n", 200, "/hello/again");
  },
  async fallback() {
    await text("nothing at /no/such/page\n", 404, "/no/such/page");
  },
  // The script ends the server during this transfer.
  async goaway() {
    const goaway = once(session, "goaway");
    const stream = session.request({ ":path": "/bytes/20000000?seed=5" });
    const first = once(stream, "readable");
    await first;
    console.log("started");
    await once(process.stdin, "data");
    same(await content(stream), pattern(20000000, 5));
    const [code] = await goaway;
    assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
    process.stdin.destroy();
    if (!session.closed) await once(session, "close");
  },
};

await checks[check]();
if (!session.closed) session.close();
