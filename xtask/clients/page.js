// Checks by a browser, within a page of the server: await check(NAME). A check that fails throws.

function ensure(is, ...words) {
  if (!is) throw new Error(words.join(" "));
}

function pattern(length, seed) {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = seed * 131 + i * 7 + (i >> 8) * 13;
  return bytes;
}

function same(body, expected) {
  ensure(body.length === expected.length, body.length, "bytes,", expected.length, "expected");
  ensure(body.every((byte, i) => byte === expected[i]), "the content differs");
}

async function content(response) {
  ensure(response.status === 200, "status", response.status);
  return new Uint8Array(await response.arrayBuffer());
}

const checks = {
  async page() {
    const response = await fetch("/page.html");
    ensure(response.headers.get("content-type").startsWith("text/html"), response.headers.get("content-type"));
    const body = await content(response);
    ensure(response.headers.get("content-length") === String(body.length), "content-length");
    ensure(new TextDecoder().decode(body).includes(document.querySelector("p").textContent.trim()), "not the page");
  },
  async head() {
    const response = await fetch("/page.html", { method: "HEAD" });
    const expected = (await content(await fetch("/page.html"))).length;
    ensure(response.headers.get("content-length") === String(expected), "content-length");
    ensure((await content(response)).length === 0, "content after HEAD");
  },
  async missing() {
    const response = await fetch("/no/such/page.html");
    ensure(response.status === 404, "status", response.status);
    await response.text();
  },
  async download() {
    same(await content(await fetch("/bytes/20000000?seed=5")), pattern(20_000_000, 5));
  },
  async upload() {
    const body = pattern(5_000_000, 9);
    same(await content(await fetch("/echo", { method: "POST", body })), body);
  },
  // The upload's pieces come from a stream, so its length is not known before its end: browsers do so over HTTP/2 alone.
  async stream() {
    let number = 0;
    const pieces = new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (number === 20) return controller.close();
        controller.enqueue(pattern(10_000, number++));
      },
    });
    const echo = await content(await fetch("/echo", { method: "POST", body: pieces, duplex: "half" }));
    for (let piece = 0; piece < 20; piece++) {
      same(echo.subarray(piece * 10_000, (piece + 1) * 10_000), pattern(10_000, piece));
    }
    ensure(echo.length === 200_000, echo.length, "bytes");
  },
  async parallel() {
    const one = async (seed) => {
      same(await content(await fetch(`/bytes/${seed * 1000}?seed=${seed}`)), pattern(seed * 1000, seed));
    };
    await Promise.all(Array.from({ length: 100 }, (_, seed) => one(seed)));
  },
  async cancel() {
    for (let i = 0; i < 50; i++) {
      const response = await fetch(`/bytes/1000000000?seed=${i}`);
      const reader = response.body.getReader();
      ensure((await reader.read()).value.length > 0, "nothing came");
      await reader.cancel();
    }
    same(await content(await fetch("/bytes/300000?seed=3")), pattern(300_000, 3));
  },
};

async function check(name) {
  await checks[name]();
  // A cancelled transfer has no protocol; a completed one is listed a little later.
  for (let protocols = []; protocols.length < 2; await new Promise((resolve) => setTimeout(resolve, 10))) {
    const entries = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
    protocols = entries.map((entry) => entry.nextHopProtocol).filter((protocol) => protocol !== "");
    ensure(protocols.every((protocol) => protocol === "h2"), "protocols", protocols);
  }
}
