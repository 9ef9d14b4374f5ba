// A server by Node's `http2` that keeps the contract of our own: server.mjs ROOT [CERT KEY]
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import { pipeline, Readable } from "node:stream";

const [root, cert, key] = process.argv.slice(2);

function* pattern(length, seed) {
  for (let at = 0; at < length; at += 65536) {
    const piece = Buffer.alloc(Math.min(65536, length - at));
    for (let i = 0; i < piece.length; i++) piece[i] = seed * 131 + (at + i) * 7 + ((at + i) >> 8) * 13;
    yield piece;
  }
}

const identity = cert && { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
const server = identity ? http2.createSecureServer(identity) : http2.createServer();
server.on("stream", (stream, fields) => {
  // A client may close its connection at any time.
  stream.on("error", () => {});
  const done = () => {};
  const url = new URL(fields[":path"], "http://localhost");
  const bytes = url.pathname.match(/^\/bytes\/(\d+)$/);
  if (bytes) {
    stream.respond({ ":status": 200, "content-length": bytes[1] });
    pipeline(Readable.from(pattern(Number(bytes[1]), Number(url.searchParams.get("seed")))), stream, done);
  } else if (url.pathname === "/echo") {
    stream.respond({ ":status": 200 });
    pipeline(stream, stream, done);
  } else {
    const file = path.join(root, path.basename(url.pathname));
    fs.stat(file, (error, stat) => {
      if (error) return stream.respond({ ":status": 404 }, { endStream: true });
      stream.respond({ ":status": 200, "content-length": stat.size, "content-type": "text/html" });
      pipeline(fs.createReadStream(file), stream, done);
    });
  }
});
server.listen(0, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
