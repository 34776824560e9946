// A host without MCP Apps that offers `window.openai`: the same methods, translated.

class OpenAiBridge {
  #host = window.openai;
  #handlers;

  constructor(handlers) {
    this.#handlers = handlers;
    window.addEventListener("openai:set_globals", (event) => {
      const changed = event.detail?.globals ?? {};
      if (changed.theme || changed.locale) {
        handlers["ui/notifications/host-context-changed"](changed);
      }
      if (changed.toolOutput) this.#deliver();
    });
  }

  async open() {
    const { theme, locale } = this.#host;
    return { hostContext: { theme, locale }, hostCapabilities: {} };
  }

  /** Hands over what is there already; called once the view listens. */
  begin() {
    if (this.#host.toolOutput) this.#deliver();
  }

  async request(method, params) {
    switch (method) {
      case "tools/call":
        return this.#host.callTool(params.name, params.arguments);
      case "ui/message":
        return this.#host.sendFollowUpMessage({ prompt: params.content[0].text });
      case "ui/open-link":
        return this.#host.openExternal({ href: params.url });
      case "ui/update-model-context":
        return this.#host.setWidgetState?.({ modelContent: params.structuredContent });
      default:
        throw new HostError(`the host has no ${method}`);
    }
  }

  notify(method, params) {
    if (method === "ui/notifications/size-changed") {
      this.#host.notifyIntrinsicHeight?.(params.height);
    }
  }

  close() {}

  #deliver() {
    this.#handlers["ui/notifications/tool-input"]({ arguments: this.#host.toolInput ?? {} });
    this.#handlers["ui/notifications/tool-result"]({
      structuredContent: this.#host.toolOutput,
      _meta: this.#host.toolResponseMetadata ?? {},
    });
  }
}
