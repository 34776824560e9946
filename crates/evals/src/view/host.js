// The host's side of MCP Apps: shows one view in a frame that may run scripts and nothing
// else, and hands its calls on. Evaluated in a page whose content policy the view inherits.
(given) => {
  "use strict";
  const frame = document.createElement("iframe");
  frame.title = "View";
  frame.sandbox = "allow-scripts";
  frame.style = "border:0;width:100%;height:100vh;display:block";
  document.body.style.margin = "0";
  document.body.replaceChildren(frame);
  const hand = globalThis.airsideHost;
  const post = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  const known = new Set(["ui/message", "ui/update-model-context", "ui/open-link", "ui/request-display-mode", "ping"]);
  globalThis.airsideAnswer = (answer) => post(answer);
  addEventListener("message", ({ source, data }) => {
    // The origin of a sandboxed frame is opaque: who speaks is told by its window.
    if (source !== frame.contentWindow || typeof data !== "object" || data === null) return;
    const { id, method, params } = data;
    if (method === "ui/notifications/initialized") {
      post({ method: "ui/notifications/tool-input", params: { arguments: given.input } });
      post({ method: "ui/notifications/tool-result", params: given.result });
    } else if (id === undefined || typeof method !== "string") {
      return;
    } else if (method === "ui/initialize") {
      const hostInfo = { name: "airside-eval", version: "1" };
      const hostCapabilities = { serverTools: {}, openLinks: {} };
      const hostContext = { theme: "light", locale: "en-US", displayMode: "inline", toolInfo: { tool: given.tool } };
      post({ id, result: { protocolVersion: "2026-01-26", hostInfo, hostCapabilities, hostContext } });
    } else if (method === "tools/call") {
      hand(JSON.stringify({ id, name: params?.name, arguments: params?.arguments ?? {} }));
    } else if (known.has(method)) {
      post({ id, result: {} });
    } else {
      post({ id, error: { code: -32601, message: "the host does not do this" } });
    }
  });
  frame.srcdoc = given.html;
}
