// One page of the host with the view in it, watched for everything that must not happen.

import { readFile } from "node:fs/promises";

/** Says nothing about the view: the specification demands both words of the sandbox. */
const EXPECTED = "allow-scripts and allow-same-origin";

export class View {
  #noise = [];

  /** Opens a page for the check `t`, which closes it at its end. */
  static async open(t, options = {}) {
    const { tool = "search_hotels", args, context = {}, result = null, size = [360, 780], offline, ...rest } = options;
    const view = new View();
    t.views.push(view);
    view.context = await t.browser.newContext({
      viewport: { width: size[0], height: size[1] },
      deviceScaleFactor: 1,
      reducedMotion: "reduce",
      timezoneId: "Europe/Berlin",
      ...rest,
    });
    view.page = await view.context.newPage();
    view.page.setDefaultTimeout(20_000);
    view.page.on("console", (message) => {
      const worth = ["error", "warning"].includes(message.type()) && !message.text().includes(EXPECTED);
      if (worth) view.#noise.push(`console: ${message.text()}`);
    });
    view.page.on("pageerror", (error) => view.#noise.push(`exception: ${error}`));
    view.page.on("dialog", (dialog) => view.#noise.push(`dialog: ${dialog.message()}`));
    view.page.on("request", (request) => {
      const { hostname, pathname } = new URL(request.url());
      const ours = ["127.0.0.1", "localhost", ""].includes(hostname) && ["/", "/mcp", "/host.js", "/sandbox.html", "/sandbox.js", "srcdoc", "/favicon.ico"].includes(pathname);
      if (!ours) view.#noise.push(`request: ${request.url()}`);
    });
    if (options.script) await view.context.addInitScript(options.script);
    view.stopped = options.clock === true;
    if (view.stopped) await view.page.clock.install();
    await view.page.goto(t.site.page(options.endpoint ?? "alone"));
    if (options.before) await view.page.evaluate(options.before);
    await view.page.evaluate(([tool, args, context, result]) => host.open(tool, args, context, result), [tool, args, context, result]);
    view.at = view.page.frameLocator("#sandbox").frameLocator("iframe");
    return view;
  }

  /** Forgets noise that a check has made on purpose. */
  forgive(pattern) {
    this.#noise = this.#noise.filter((line) => !pattern.test(line));
  }

  /** Ends the page and returns what must not have happened. */
  async close() {
    await this.context.close();
    return this.#noise;
  }

  heading(name) {
    return this.at.getByRole("heading", { level: 1, name });
  }

  button(name) {
    return this.at.getByRole("button", { name }).first();
  }

  /** Waits until the view has a heading that fits and nothing is under way. */
  async shows(name) {
    await this.heading(name).waitFor();
    await this.at.locator("#main:not([aria-busy])").waitFor();
  }

  /** Waits until the view has asked the host for something. */
  async asks(method) {
    await this.page.waitForFunction((method) => host.sent(method).length > 0, method);
    // The driver, too, has to know the frame before it can move its clock.
    await this.at.locator("#main").waitFor();
  }

  async click(name) {
    await this.button(name).click();
  }

  /** The frame of the view itself. */
  get frame() {
    return this.page.frames().find((frame) => frame.parentFrame()?.parentFrame());
  }

  evaluate(job, argument) {
    return this.frame.evaluate(job, argument);
  }

  /** What the view asked the host for, as [tool, arguments]. */
  calls() {
    return this.page.evaluate(() => host.sent("tools/call").map(({ params }) => [params.name, params.arguments]));
  }

  /** Fills in who is staying and goes on to the review. */
  async introduce(first = "Anna", last = "Müller", title = "Review and book") {
    await this.at.getByLabel("First name").fill(first);
    await this.at.getByLabel("Last name").fill(last);
    await this.at.getByLabel("E-mail").fill("anna@example.com");
    await this.click("Continue to review");
    await this.shows(title);
  }

  /** From the first search to a room that is held. */
  async walkToGuest() {
    await this.shows(/^Hotels in/);
    await this.click(/^See rooms/);
    await this.click(/^Choose/);
    await this.shows("Who is staying?");
  }

  /** From the first search to what has to be agreed to. */
  async walkToReview() {
    await this.walkToGuest();
    await this.introduce();
  }

  /** Violations of WCAG 2.2 A and AA and of best practice, as axe sees them. */
  async violations() {
    await this.evaluate(await AXE);
    return this.evaluate(async () => {
      const { violations } = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
      return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary}`));
    });
  }

  /** How far content sticks out to the right, in pixels. */
  overflow() {
    return this.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  /** Keeps a picture of the whole view. */
  async picture(path) {
    const before = this.page.viewportSize();
    const painted = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const height = await this.evaluate(() => Math.ceil(document.body.getBoundingClientRect().height));
    await this.page.setViewportSize({ width: before.width, height: Math.min(Math.max(height, 200), 4000) });
    // Under a clock of the test no frame comes by itself.
    if (!this.stopped) await this.evaluate(painted);
    await this.page.screenshot({ path });
    await this.page.setViewportSize(before);
  }
}

let AXE;
/** Where the accessibility checker is. */
export function useAxe(path) {
  AXE = readFile(path, "utf8").then((source) => `${source};0`);
}

export function expect(condition, seen) {
  if (!condition) throw new Error(`unexpected: ${JSON.stringify(seen)?.slice(0, 1_500)}`);
}

/** The date some days from now, at UTC. */
export function day(offset) {
  return new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
}
