// The proxy between host and view, on an origin of its own: it loads the view into a
// frame that may only run scripts and passes messages on.

"use strict";

const hostOrigin = document.referrer ? new URL(document.referrer).origin : null;
const view = document.createElement("iframe");
view.title = "Hotels";
view.sandbox = "allow-scripts";
document.body.append(view);

window.addEventListener("message", (event) => {
  if (event.source === window.parent && event.origin === hostOrigin) {
    const message = event.data;
    if (message.method === "ui/notifications/sandbox-resource-ready") load(message.params);
    else view.contentWindow.postMessage(message, "*");
  } else if (event.source === view.contentWindow) {
    if (!String(event.data?.method).startsWith("ui/notifications/sandbox-")) {
      window.parent.postMessage(event.data, hostOrigin);
    }
  }
});

// The policy that came with this page is inherited by the view.
const policy = trustedTypes.createPolicy("sandbox", { createHTML: (html) => html });
function load({ html }) {
  view.srcdoc = policy.createHTML(html);
}

window.parent.postMessage({ jsonrpc: "2.0", method: "ui/notifications/sandbox-proxy-ready", params: {} }, hostOrigin);
