// The way to the host: JSON-RPC over postMessage (MCP Apps, 2026-01-26).
//
// * Only the parent window is listened to, and from the handshake on only its origin.
// * Every request ends: with an answer, with the host's error, or by time.

const PROTOCOL = "2026-01-26";

/** The host refused a request or could not pass it on. */
class HostError extends Error {}

/** No answer came in time: what the request did is not known. */
class TimeOut extends Error {}

class Bridge {
  #pending = new Map();
  #next = 1;
  #origin = null;
  #handlers;

  /** `handlers` are called with the params of the host's notifications, by method. */
  constructor(handlers) {
    this.#handlers = handlers;
    window.addEventListener("message", (event) => this.#receive(event));
  }

  /** Shakes hands and returns what the host says about itself. */
  async open(wait) {
    const hello = await this.request(
      "ui/initialize",
      {
        protocolVersion: PROTOCOL,
        appInfo: { name: "airside-hotels", title: "Airside hotels", version: VERSION },
        appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
      },
      wait,
    );
    this.notify("ui/notifications/initialized", {});
    return hello;
  }

  request(method, params, wait = 30_000) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new TimeOut(`${method} was not answered`));
      }, wait);
      this.#pending.set(id, { resolve, reject, timer });
      this.#post({ jsonrpc: "2.0", id, method, params });
    });
  }

  notify(method, params) {
    this.#post({ jsonrpc: "2.0", method, params });
  }

  /** Ends every request that is still open. */
  close() {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new TimeOut("the view was closed"));
    }
    this.#pending.clear();
  }

  #post(message) {
    // An opaque origin cannot be addressed; the source has been checked.
    const target = this.#origin === null || this.#origin === "null" ? "*" : this.#origin;
    window.parent.postMessage(message, target);
  }

  #receive(event) {
    if (event.source !== window.parent) return;
    if (this.#origin !== null && event.origin !== this.#origin) return;
    const message = event.data;
    if (message === null || typeof message !== "object" || message.jsonrpc !== "2.0") return;
    if (typeof message.method !== "string") return this.#settle(message, event.origin);
    if (this.#origin === null) return;
    const handler = Object.hasOwn(this.#handlers, message.method)
      ? this.#handlers[message.method]
      : null;
    if (message.id === undefined) {
      handler?.(message.params ?? {});
      return;
    }
    const answer = handler
      ? { result: handler(message.params ?? {}) ?? {} }
      : { error: { code: -32601, message: "the view has no such method" } };
    this.#post({ jsonrpc: "2.0", id: message.id, ...answer });
  }

  #settle(message, origin) {
    const waiting = this.#pending.get(message.id);
    if (!waiting) return;
    this.#origin ??= origin;
    this.#pending.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error) waiting.reject(new HostError(String(message.error.message ?? "refused")));
    else waiting.resolve(message.result ?? {});
  }
}
