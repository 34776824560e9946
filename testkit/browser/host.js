// The host's side of MCP Apps for tests: opens a tool's view in a sandbox on another
// origin and passes its calls on to a real endpoint.
//
// A test opens the page, calls `host.open(tool, args, options)` and looks at
// `host.log`, the messages of the view in the order in which they came.

"use strict";

const frame = document.getElementById("sandbox");
const query = new URLSearchParams(location.search);
const sandboxOrigin = query.get("sandbox");

const host = {
  log: [],
  /** Answers that a test gives in the server's place, by tool: (args, ask) => result. */
  overrides: {},
  context: {},
  tools: null,
  input: null,
  result: null,

  /** Calls a tool as a model would and shows its view. */
  async open(tool, args, context = {}, result = null) {
    const { tools } = await rpc("tools/list", {});
    host.tools = new Map(tools.map((listed) => [listed.name, listed]));
    const uri = host.tools.get(tool)._meta.ui.resourceUri;
    const { contents } = await rpc("resources/read", { uri });
    const [page] = contents;
    if (page.mimeType !== "text/html;profile=mcp-app") throw new Error(`unexpected ${page.mimeType}`);
    host.context = {
      theme: "light",
      locale: "en-US",
      displayMode: "inline",
      toolInfo: { tool: host.tools.get(tool) },
      ...context,
    };
    document.documentElement.dataset.theme = host.context.theme;
    host.input = args;
    host.result = result ?? (await rpc("tools/call", { name: tool, arguments: args }));
    host.page = page;
    frame.src = `${sandboxOrigin}/sandbox.html`;
  },

  /** Tells the view that the host's context has changed. */
  change(context) {
    Object.assign(host.context, context);
    document.documentElement.dataset.theme = host.context.theme;
    notify("ui/notifications/host-context-changed", context);
  },

  /** Sends the view a result as if the model had called again. */
  deliver(result) {
    notify("ui/notifications/tool-result", result);
  },

  /** Asks the view to end; returns its answer. */
  teardown() {
    return new Promise((resolve) => {
      host.ended = resolve;
      post({ jsonrpc: "2.0", id: "teardown", method: "ui/resource-teardown", params: { reason: "test" } });
    });
  },

  /** What the view sent under this method. */
  sent(method) {
    return host.log.filter((message) => message.method === method);
  },
  rpc,
};
window.host = host;

async function rpc(method, params) {
  const response = await fetch(`/mcp?endpoint=${query.get("endpoint")}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ method, params }),
  });
  const message = await response.json();
  if (message.error) throw new Error(message.error.message);
  return message.result;
}

function post(message) {
  frame.contentWindow.postMessage(message, sandboxOrigin);
}

function notify(method, params) {
  post({ jsonrpc: "2.0", method, params });
}

const requests = {
  "ui/initialize": () => host.context.silent ? "lost" : ({
    protocolVersion: "2026-01-26",
    hostInfo: { name: "airside-testkit", version: "1" },
    hostCapabilities: { serverTools: {}, openLinks: {} },
    hostContext: host.context,
  }),
  async "tools/call"({ name, arguments: args }) {
    const visibility = host.tools.get(name)?._meta?.ui?.visibility ?? ["model", "app"];
    if (!visibility.includes("app")) throw new Error("the view may not call this tool");
    const ask = () => rpc("tools/call", { name, arguments: args });
    return host.overrides[name] ? host.overrides[name](args, ask) : ask();
  },
  "ui/message": () => ({}),
  "ui/update-model-context": () => ({}),
  "ui/open-link": () => ({}),
};

window.addEventListener("message", async (event) => {
  if (event.source !== frame.contentWindow || event.origin !== sandboxOrigin) return;
  const message = event.data;
  if (message.method === "ui/notifications/sandbox-proxy-ready") {
    const { text: html, _meta } = host.page;
    notify("ui/notifications/sandbox-resource-ready", { html, csp: _meta.ui.csp, permissions: _meta.ui.permissions });
    return;
  }
  host.log.push(message);
  if (message.method === "ui/notifications/initialized") {
    notify("ui/notifications/tool-input", { arguments: host.input });
    notify("ui/notifications/tool-result", host.result);
  } else if (message.method === "ui/notifications/size-changed") {
    frame.style.height = `${message.params.height}px`;
  } else if (message.id === "teardown") {
    host.ended(message.result);
  } else if (message.id !== undefined && message.method) {
    try {
      const result = await requests[message.method](message.params);
      // A test may want a request to stay without an answer.
      if (result !== "lost") post({ jsonrpc: "2.0", id: message.id, result });
    } catch (error) {
      post({ jsonrpc: "2.0", id: message.id, error: { code: -32000, message: String(error.message) } });
    }
  }
});
