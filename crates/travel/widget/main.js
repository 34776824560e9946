// What is shown when, and the way from a click to a tool.

const main = document.getElementById("main");
const live = document.getElementById("live");

const app = {
  bridge: null,
  /** What the endpoint puts before the names of our tools. */
  prefix: "",
  /** Arguments of the search that is shown. */
  input: {},
  /** Result of that search. */
  found: null,
  /** Rooms of the hotel that was looked at last, and bookings that were listed. */
  rooms: null,
  bookings: null,
  /** Time zone of the hotel or city that is shown. */
  zone: null,
  working: false,
  closed: false,
};

/** A tool refused the call and says what to change. */
class Refused extends Error {
  constructor(result) {
    super(clean(result?.message ?? "The request was refused", 300));
    this.code = clean(result?.code, 20);
    this.hint = clean(result?.hint, 300);
  }
}

/** Returns the structured result of a tool, and what is for this page alone beside it. */
function read(answer) {
  const result = answer?.structuredContent;
  if (answer?.isError || !result || result.status === "error") throw new Refused(result);
  return { ...result, consent: answer._meta?.[CONSENT] };
}

/** Calls a tool and returns its structured result. */
async function call(tool, args, wait) {
  const params = { name: app.prefix + tool, arguments: args };
  return read(await app.bridge.request("tools/call", params, wait));
}

/** What the model should know from now on: ids and states, nothing that others wrote. */
function tell(structuredContent) {
  const content = [{ type: "text", text: JSON.stringify(structuredContent) }];
  // Not every host takes it, and nothing here depends on it.
  app.bridge.request("ui/update-model-context", { content, structuredContent }).catch(() => {});
}

/** Does one thing at a time: what is clicked meanwhile is not done twice. */
async function work(label, job) {
  if (app.working || app.closed) return;
  app.working = true;
  main.setAttribute("aria-busy", "true");
  main.querySelector("[role=alert]")?.remove();
  announce(label);
  try {
    await job();
    if (live.textContent === label) announce("");
  } catch (error) {
    if (!app.closed) problem(error);
  } finally {
    app.working = false;
    main.removeAttribute("aria-busy");
  }
}

function announce(text) {
  live.textContent = text;
}

/** Says above the view what went wrong; the view stays usable. */
function problem(error) {
  announce("");
  let text = "Something went wrong here. Please try again.";
  if (error instanceof Refused) text = explain(error);
  else if (error instanceof TimeOut) text = "There was no answer in time. Please try again.";
  else if (error instanceof HostError) text = `Your assistant could not pass the request on: ${sentence(clean(error.message, 200))}`;
  else console.error(error);
  const alert = h("div", { class: "note bad", role: "alert" }, icon(WARN), h("p", {}, told(text, 600), error.code && h("span", { class: "quiet" }, ` ${error.code}`)));
  main.prepend(alert);
  alert.scrollIntoView({ block: "nearest" });
}

function explain({ message, hint }) {
  return [message, hint].filter(Boolean).map(sentence).join(" ");
}

function raise(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function sentence(text) {
  const start = raise(text);
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}

/** A view: a heading that can take the focus, a line below it, and the rest. */
function view(title, lines, ...content) {
  return [
    h("header", {}, h("h1", { id: "title", tabindex: "-1" }, title), lines.map((line) => h("p", { class: "quiet" }, line))),
    ...content,
  ].flat(3).filter(Boolean);
}

function show(nodes, { focus = false } = {}) {
  main.replaceChildren(...nodes);
  if (!focus) return;
  const title = document.getElementById("title");
  title.focus({ preventScroll: true });
  title.scrollIntoView({ block: "nearest" });
}

function backToResults() {
  if (!app.found) return null;
  return button([icon(BACK), "All hotels"], () => arrive(app.found, { focus: true }), { class: "back" });
}

/** Shows a result of any of our tools. */
function arrive(result, options) {
  if (result.candidates) return show(placeView(result), options);
  if (result.hotels) {
    app.found = result;
    app.zone = result.place?.time_zone ?? null;
    return show(resultsView(result), options);
  }
  if (result.offers) return show(roomsView(result), options);
  if (result.session) return show(sessionView(result), options);
  if (result.quote) return show(quoteView(result), options);
  if (result.booking) return show(bookingView(result), options);
  if (result.bookings) {
    app.bookings = result;
    return show(bookingsView(result), options);
  }
  if (result.hotel) return show(profileView(result), options);
  return show(failedView("There is nothing to show here."), options);
}

function profileView({ hotel, notices: list }) {
  return view(
    [told(hotel.name, 90), " ", stars(hotel.stars)],
    [],
    hotelFacts(hotel),
    h(
      "ul",
      { class: "cards", role: "list" },
      hotel.room_types.map((room) =>
        h("li", { class: "card tall" }, h("h2", {}, told(room.name)), h("p", { class: "quiet" }, told(room.beds), ` · up to ${count(room.max_guests, "guest")}`)),
      ),
    ),
    h("p", {}, told(hotel.policies.cancellation, 400)),
    h("p", {}, told(hotel.policies.children, 400)),
    notices(list),
  );
}

function failedView(text) {
  return view(["Hotels"], [], h("div", { class: "note bad", role: "alert" }, icon(WARN), h("p", {}, told(text, 400))));
}

/** Follows the host's theme, language and colours. */
function follow(context) {
  const root = document.documentElement;
  if (context.theme === "light" || context.theme === "dark") root.dataset.theme = context.theme;
  if (typeof context.locale === "string") useLocale(context.locale);
  if (typeof context.timeZone === "string") useTimeZone(context.timeZone);
  const tool = context.toolInfo?.tool?.name;
  if (typeof tool === "string") app.prefix = prefixOf(tool);
  const variables = context.styles?.variables;
  if (variables !== null && typeof variables === "object") adopt(variables);
  const { top = 0, right = 0, bottom = 0, left = 0 } = context.safeAreaInsets ?? {};
  if (context.safeAreaInsets) root.style.padding = [top, right, bottom, left].map((px) => `${Number(px) || 0}px`).join(" ");
}

const TOOLS = [
  "search_hotels",
  "get_hotel",
  "check_availability",
  "create_booking_session",
  "get_booking_session",
  "update_booking_session",
  "get_booking",
  "list_my_bookings",
  "quote_booking_change",
  "quote_cancellation",
];

/** An endpoint with several servers puts the server's name before a tool's. */
function prefixOf(tool) {
  const ours = TOOLS.find((name) => tool.endsWith(name));
  return ours === undefined ? "" : tool.slice(0, tool.length - ours.length);
}

// Colours of a host fit together only as a set: a part of them could hide text.
const COLOURS = ["background-primary", "background-secondary", "text-primary", "text-secondary", "border-primary"].map((name) => `--color-${name}`);
const OTHERS = ["--font-sans", "--border-radius-md", "--border-radius-lg"];

function adopt(variables) {
  const plain = (name) => typeof variables[name] === "string" && variables[name].length < 200 && !/url\(/i.test(variables[name]);
  const wanted = [...(COLOURS.every(plain) ? COLOURS : []), ...OTHERS.filter(plain)];
  for (const name of wanted) document.documentElement.style.setProperty(name, variables[name]);
}

/** Tells the host how large the content is, whenever that changes. */
function measure() {
  let sent = "";
  new ResizeObserver(() => {
    const width = Math.ceil(document.documentElement.clientWidth);
    const height = Math.ceil(document.body.getBoundingClientRect().height);
    if (sent === `${width} ${height}`) return;
    sent = `${width} ${height}`;
    app.bridge.notify("ui/notifications/size-changed", { width, height });
  }).observe(document.body);
}

const handlers = {
  ping: () => ({}),
  "ui/notifications/host-context-changed": follow,
  "ui/notifications/tool-input-partial": () => {},
  "ui/notifications/tool-input": ({ arguments: input }) => {
    // Some hosts tell the view of its own calls, too.
    if (typeof input?.place === "string") app.input = input;
  },
  "ui/notifications/tool-result": (answer) => {
    if (app.working) return;
    try {
      arrive(read(answer));
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error);
      show(failedView(error instanceof Refused ? explain(error) : "This result cannot be shown here."));
    }
    main.removeAttribute("aria-busy");
    announce("");
  },
  "ui/notifications/tool-cancelled": () => {
    show(failedView("The search was stopped. Ask again to see hotels."));
    main.removeAttribute("aria-busy");
  },
  "ui/resource-teardown": () => {
    app.closed = true;
    app.bridge.close();
    return {};
  },
};

async function start() {
  useLocale(navigator.language);
  app.bridge = new Bridge(handlers);
  let hello;
  try {
    hello = await app.bridge.open(window.openai ? 2_000 : 15_000);
  } catch (error) {
    if (!window.openai) throw error;
    app.bridge = new OpenAiBridge(handlers);
    hello = await app.bridge.open();
  }
  follow(hello.hostContext ?? {});
  measure();
  app.bridge.begin?.();
}

start().catch(() => {
  show(failedView("This page works inside an AI assistant, and no assistant answered."));
  main.removeAttribute("aria-busy");
});
