// Serves the host page and, on another origin, its sandbox; passes calls on to the
// endpoint as a client of revision 2026-07-28.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";

const REVISION = "2026-07-28";
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8" };
// What MCP Apps demand of a view that declares no domain, and Trusted Types besides.
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "connect-src 'none'",
  "base-uri 'none'",
  "object-src 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types sandbox",
].join("; ");

/** Sends one request to the endpoint and returns the message that answers it. */
export async function ask(endpoint, key, { method, params }) {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": { name: "airside-testkit-browser", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {
      extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } },
    },
  };
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": REVISION,
    "mcp-method": method,
  };
  const name = params.name ?? params.uri;
  if (name) headers["mcp-name"] = name;
  if (key) headers.authorization = `Bearer ${key}`;
  const message = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } };
  const response = await fetch(endpoint, { method: "POST", headers, body: JSON.stringify(message) });
  const text = await response.text();
  const data = text.startsWith("{") ? text : text.split("\n").filter((line) => line.startsWith("data: {")).at(-1)?.slice(6);
  if (!data) throw new Error(`${method} was answered with ${response.status}: ${text.slice(0, 200)}`);
  return JSON.parse(data);
}

/** Starts both servers on free ports. `endpoints` has URL and key of each, by name. */
export async function serve(endpoints) {
  const pages = await start(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://host");
    if (request.method === "POST" && pathname === "/mcp") {
      const { endpoint, key } = endpoints[searchParams.get("endpoint")];
      let answer;
      try {
        answer = await ask(endpoint, key, JSON.parse(await body(request)));
      } catch (error) {
        answer = { error: { code: -32000, message: String(error.message) } };
      }
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answer));
      return;
    }
    await file(request, response, { "/": "host.html", "/host.js": "host.js" });
  });
  const sandbox = await start(async (request, response) => {
    response.setHeader("content-security-policy", POLICY);
    await file(request, response, { "/sandbox.html": "sandbox.html", "/sandbox.js": "sandbox.js" });
  });
  const sandboxOrigin = `http://127.0.0.1:${sandbox.address().port}`;
  const page = (name) => `http://localhost:${pages.address().port}/?endpoint=${name}&sandbox=${encodeURIComponent(sandboxOrigin)}`;
  return {
    page,
    stop() {
      pages.close();
      sandbox.close();
      pages.closeAllConnections();
      sandbox.closeAllConnections();
    },
  };
}

async function start(answer) {
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function file(request, response, known) {
  const name = known[new URL(request.url, "http://host").pathname];
  if (!name) {
    response.statusCode = request.url === "/favicon.ico" ? 204 : 404;
    response.end();
    return;
  }
  response.setHeader("content-type", TYPES[name.split(".").at(-1)]);
  response.end(await readFile(new URL(name, import.meta.url)));
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
