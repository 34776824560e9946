// Drives an MCP endpoint with the official TypeScript client, in both eras.
//
// Usage: node client.mjs fixture|travel URL
//
// Prints a line for each check and, last, how many passed and failed.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";

// The packages are in a folder of the tests, not beside this file.
const packages = path.join(process.env.AIRSIDE_NODE_TOOLS, "index.js");
const entry = createRequire(packages).resolve("@modelcontextprotocol/client");
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(entry));

const eras = [
  { version: "2025-11-25", era: "legacy", mode: "legacy" },
  { version: "2026-07-28", era: "modern", mode: { pin: "2026-07-28" } },
];

function expect(condition, seen) {
  if (!condition) throw new Error(`unexpected: ${JSON.stringify(seen)}`);
}

function text(result) {
  return result.content.map((block) => block.text ?? "").join("");
}

function day(offset) {
  return new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
}

const common = {
  async "lists its tools"(client, kind) {
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    expect(names.includes(kind === "fixture" ? "test_simple_text" : "search_hotels"), names);
  },
  async "calls a tool"(client, kind) {
    if (kind === "fixture") {
      const result = await client.callTool({ name: "greet", arguments: { name: "Zoë" } });
      expect(text(result) === "Hello, Zoë!", result);
      return;
    }
    const stay = { place: "Boston", check_in: day(30), check_out: day(32) };
    const result = await client.callTool({ name: "search_hotels", arguments: stay });
    expect(!result.isError && result.structuredContent, result);
    expect(text(result).includes("Boston"), result);
  },
};

const fixture = {
  async "progress arrives"(client) {
    const seen = [];
    const onprogress = ({ progress }) => seen.push(progress);
    await client.callTool({ name: "test_tool_with_progress", arguments: {} }, { onprogress });
    expect(seen.join() === "0,50,100", seen);
  },
  async "question is answered"(client) {
    const legacy = client.getProtocolEra() === "legacy";
    const result = await client.callTool({
      name: legacy ? "test_elicitation" : "test_input_required_result_elicitation",
      arguments: legacy ? { message: "Who are you?" } : {},
    });
    expect(text(result).toLowerCase().includes("ada"), result);
  },
  async "custom header is mirrored"(client) {
    // The client learns from the list which argument goes into a header.
    await client.listTools();
    const result = await client.callTool({ name: "test_custom_header", arguments: { region: "Zürich" } });
    expect(text(result) === "Region: Zürich", result);
  },
  async "resource is read"(client) {
    const result = await client.readResource({ uri: "test://static-text" });
    expect(result.contents[0].text.includes("static text resource"), result);
  },
};

const [kind, url] = process.argv.slice(2);
const checks = { ...common, ...(kind === "fixture" ? fixture : {}) };
let passed = 0;
let failed = 0;
for (const { version, era, mode } of eras) {
  for (const [name, check] of Object.entries(checks)) {
    const client = new Client(
      { name: "airside-tests", version: "1.0.0" },
      { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } },
    );
    client.setRequestHandler("elicitation/create", async () => ({
      action: "accept",
      content: { name: "Ada", username: "ada", email: "ada@example.com" },
    }));
    try {
      await client.connect(new StreamableHTTPClientTransport(new URL(url)));
      expect(client.getNegotiatedProtocolVersion() === version, client.getNegotiatedProtocolVersion());
      expect(client.getProtocolEra() === era, client.getProtocolEra());
      await check(client, kind);
      console.log(`ok    typescript ${version} ${name}`);
      passed += 1;
    } catch (problem) {
      console.log(`FAILED typescript ${version} ${name}: ${problem?.stack ?? problem}`);
      failed += 1;
    } finally {
      await client.close().catch(() => {});
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
