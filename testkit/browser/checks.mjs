// What the view must do, each on a fresh page.

import { View, day, expect } from "./view.mjs";

/** Two nights for two in Boston, which no other check asks for. */
function boston(t) {
  return { place: "Boston", check_in: day(t.arrival), check_out: day(t.arrival + 2), rooms: [{ adults: 2 }], limit: 5 };
}

const PHONE = [360, 780];
const DESK = [1000, 900];

/** Answers the next completion with another price, in the server's place. */
function priceChanges() {
  const real = {};
  host.overrides.update_booking_session = async (args, ask) => {
    real.review = await ask();
    return real.review;
  };
  host.overrides.complete_booking_session = () => {
    delete host.overrides.complete_booking_session;
    const result = structuredClone(real.review);
    const { session } = result.structuredContent;
    const before = session.offer.total;
    const more = (money) => ({ ...money, amount: money.amount + 1_500 });
    session.offer.total = more(before);
    session.offer.totals = session.offer.totals.map((line) => (["total", "room"].includes(line.type) ? more(line) : line));
    session.terms_digest = result._meta["airside/consent"].terms_digest = "0".repeat(64);
    result.structuredContent.change = { before, after: session.offer.total, summary: "The hotel has changed its rate." };
    result.structuredContent.status = "totals_changed";
    return result;
  };
}

/** Opens the view for a search. */
function search(t, options = {}) {
  return View.open(t, { args: boston(t), ...options });
}

/** Finds a hotel that takes the stay, and one night more of the same room and rate. */
async function longerStay(t) {
  const { limit, place, ...stay } = boston(t);
  const { hotels } = await t.call("search_hotels", { place, ...stay, limit: 25 });
  for (const { property_id, name } of hotels) {
    const [two, three] = await Promise.all([
      t.call("check_availability", { property_id, ...stay }),
      t.call("check_availability", { property_id, ...stay, check_out: day(t.arrival + 3) }),
    ]);
    const same = (a, b) => a.room_type.code === b.room_type.code && a.rate_plan.code === b.rate_plan.code;
    const offer = two.offers.find((offer) => offer.cancellation.free_now && three.offers.some((other) => same(offer, other)));
    if (offer) return { name, label: `Choose ${offer.room_type.name}, ${offer.rate_plan.name}` };
  }
  throw new Error("no hotel in Boston takes a third night");
}

/** Puts `window.openai` into the view, with the host page behind it. */
function otherHost() {
  if (location.href !== "about:srcdoc") return;
  let next = 1_000_000;
  const ask = (method, params) =>
    new Promise((resolve) => {
      const id = next++;
      addEventListener("message", function heard({ data }) {
        if (data.id !== id) return;
        removeEventListener("message", heard);
        resolve(data.result);
      });
      parent.postMessage({ jsonrpc: "2.0", id, method, params }, "*");
    });
  const args = { place: "Boston" };
  window.openai = {
    theme: "dark",
    locale: "de-DE",
    toolInput: args,
    toolOutput: null,
    callTool: (name, args) => ask("tools/call", { name, arguments: args }),
    notifyIntrinsicHeight: (height) => ask("ui/notifications/size-changed", { width: 360, height }),
  };
  ask("tools/call", { name: "search_hotels", arguments: args }).then(({ structuredContent }) => {
    window.openai.toolOutput = structuredContent;
    dispatchEvent(new CustomEvent("openai:set_globals", { detail: { globals: { toolOutput: structuredContent } } }));
  });
}

async function looksGood(view, name, t) {
  expect((await view.overflow()) <= 0, `${name} is wider than its frame by ${await view.overflow()}`);
  const violations = await view.violations();
  expect(violations.length === 0, violations);
  await view.picture(`${t.pictures}/${name}.png`);
}

export const checks = {
  async "every step looks right on a phone in the light"(t) {
    const view = await search(t, { size: PHONE });
    await tour(view, "phone-light", t);
  },

  async "every step looks right on a desk in the dark"(t) {
    const view = await search(t, { size: DESK, context: { theme: "dark" } });
    await tour(view, "desk-dark", t);
  },

  async "a stay is booked, moved and cancelled, and the ledger holds it"(t) {
    const { name, label } = await longerStay(t);
    const view = await search(t, { size: PHONE, args: { ...boston(t), limit: 25 } });
    await view.shows(/^Hotels in/);
    await view.click(`See rooms of ${name}`);
    await view.click(label);
    await view.shows("Who is staying?");
    await view.introduce();
    await view.at.getByRole("checkbox").check();
    await view.button(/^Book for/).dblclick();
    await view.shows("You are booked");
    await view.at.getByText("Change the dates").click();
    await view.at.getByLabel("New check-out").fill(day(t.arrival + 3));
    await view.click("See the new price");
    await view.shows("Change this booking?");
    await looksGood(view, "change-phone-light", t);
    await view.at.getByRole("checkbox").check();
    await view.click("Change the booking");
    await view.shows("Your booking");
    await view.at.getByText("3 nights").waitFor();
    await view.click("Cancel this booking");
    await view.shows("Cancel this booking?");
    await looksGood(view, "cancel-phone-light", t);
    await view.at.getByRole("checkbox").check();
    await view.click("Cancel the booking");
    await view.shows("Your booking is cancelled");
    await looksGood(view, "cancelled-phone-light", t);

    const entries = await t.ledger();
    for (const tool of ["create_booking_session", "complete_booking_session", "confirm_booking_change", "confirm_cancellation"]) {
      const about = entries.filter(({ kind, body }) => kind.startsWith("call.") && JSON.stringify(body).includes(tool));
      const kinds = about.map(({ kind }) => kind);
      expect(kinds.includes("call.intended") && kinds.includes("call.completed"), [tool, kinds]);
    }
    const text = JSON.stringify(entries);
    expect(!text.includes("Müller") && !text.includes("anna@example.com"), "the ledger shows who stays");
  },

  async "the keyboard alone leads from search to booking"(t) {
    const view = await search(t, { size: DESK });
    await view.shows(/^Hotels in/);
    await press(view, /^See rooms/);
    await view.at.getByRole("button", { name: /^Choose/ }).first().waitFor();
    await focusIsOnTitle(view);
    await press(view, /^Choose/);
    await view.shows("Who is staying?");
    await focusIsOnTitle(view);
    for (const [label, text] of [["First name", "Anna"], ["Last name", "Müller"], ["E-mail for the confirmation", "anna@example.com"]]) {
      await tabTo(view, (element, label) => element.labels?.[0]?.textContent === label, label);
      await view.page.keyboard.type(text);
    }
    await view.page.keyboard.press("Enter");
    await view.shows("Review and book");
    await focusIsOnTitle(view);
    await tabTo(view, (element) => element.type === "checkbox");
    await view.page.keyboard.press("Space");
    await press(view, /^Book for/);
    await view.shows("You are booked");
    await focusIsOnTitle(view);
  },

  async "nothing is booked without the box, and two clicks book once"(t) {
    const view = await search(t);
    await view.walkToReview();
    await view.click(/^Book for/);
    await view.at.getByText("Please tick the box first").waitFor();
    expect(await view.evaluate(() => document.activeElement.id === "agree"), "the box has no focus");
    await view.at.getByRole("checkbox").check();
    await view.button(/^Book for/).dblclick();
    await view.shows("You are booked");
    const completed = (await view.calls()).filter(([tool]) => tool === "complete_booking_session");
    expect(completed.length === 1, completed);
    expect(/^[0-9a-f]{64}$/.test(completed[0][1].consent_token) && completed[0][1].disclosure_shown, completed);
  },

  async "guests are asked for what is missing"(t) {
    const view = await search(t);
    await view.walkToGuest();
    await view.at.getByLabel("First name").fill("Anna");
    await view.at.getByLabel("E-mail").fill("not an address");
    await view.click("Continue to review");
    await view.at.getByText("Please enter the last name.").waitFor();
    await view.at.getByText("Please enter an e-mail address").waitFor();
    expect(await view.evaluate(() => document.activeElement.id === "last_name"), "focus is elsewhere");
    const violations = await view.violations();
    expect(violations.length === 0, violations);
  },

  async "an answer that is lost is an outcome nobody knows"(t) {
    const view = await search(t, { clock: true });
    await view.walkToReview();
    // The booking is made; its answer never arrives.
    await view.page.evaluate(() => {
      host.overrides.complete_booking_session = async (args, ask) => {
        await ask();
        host.lost = true;
        return "lost";
      };
    });
    await view.at.getByRole("checkbox").check();
    await view.click(/^Book for/);
    await view.page.waitForFunction(() => host.lost);
    await view.page.clock.runFor(46_000);
    await view.shows(/^We do not know yet/);
    await looksGood(view, "unknown-phone-light", t);
    await view.click("Check again");
    await view.shows("You are booked");
    const label = await view.at.locator(".done .total").textContent();
    const { bookings } = await t.call("list_my_bookings", {});
    expect(bookings.filter((booking) => booking.label === label).length === 1, [label, bookings]);
  },

  async "trying again after a lost answer keeps the key"(t) {
    const view = await search(t);
    await view.walkToReview();
    await view.page.evaluate(() => {
      host.overrides.complete_booking_session = () => {
        delete host.overrides.complete_booking_session;
        throw new Error("the connection was lost");
      };
    });
    await view.at.getByRole("checkbox").check();
    await view.click(/^Book for/);
    await view.shows(/^We do not know yet/);
    await view.click("Check again");
    await view.at.getByText("The booking has not been made so far.").waitFor();
    await view.at.getByRole("checkbox").check();
    await view.click(/^Book for/);
    await view.shows("You are booked");
    const [first, second] = (await view.calls()).filter(([tool]) => tool === "complete_booking_session");
    expect(first[1].idempotency_key === second[1].idempotency_key, [first, second]);
  },

  async "a changed price is shown and has to be agreed to again"(t) {
    const view = await search(t, { size: DESK, before: priceChanges });
    await view.walkToReview();
    await view.at.getByRole("checkbox").check();
    await view.click(/^Book for/);
    await view.at.getByText("The price has changed. Nothing has been booked.").waitFor();
    await view.at.getByText("+$15.00").waitFor();
    expect(!(await view.at.getByRole("checkbox").isChecked()), "the box is still ticked");
    await looksGood(view, "changed-desk-light", t);
    await view.at.getByRole("checkbox").check();
    await view.click(/^Book for/);
    // The server knows nothing of these terms and refuses them.
    await view.at.getByRole("alert").getByText(/TRV-2\d\d/).waitFor();
    const [first, second] = (await view.calls()).filter(([tool]) => tool === "complete_booking_session");
    expect(first[1].terms_digest !== second[1].terms_digest && first[1].idempotency_key !== second[1].idempotency_key, [first, second]);
  },

  async "a payment page is opened by the host, and only a safe one"(t) {
    const before = () => {
      host.overrides.update_booking_session = async (args, ask) => {
        const result = await ask();
        const { session } = result.structuredContent;
        const url = args.booker.first_name === "Anna" ? "https://pay.example.com/1" : "javascript:alert(1)";
        session.status = "requires_escalation";
        session.payment = { kind: "hosted_page", summary: "Pay on the hotel's page." };
        session.continue_url = url;
        return result;
      };
    };
    for (const [first, safe] of [["Anna", true], ["Mallory", false]]) {
      const view = await search(t, { before });
      await view.walkToGuest();
      await view.introduce(first, "Müller", "One more step at the payment page");
      expect((await view.at.getByRole("button", { name: "Open the payment page" }).count()) === (safe ? 1 : 0), first);
      if (!safe) continue;
      await view.click("Open the payment page");
      await view.asks("ui/open-link");
      const [{ params }] = await view.page.evaluate(() => host.sent("ui/open-link"));
      expect(params.url === "https://pay.example.com/1", params);
    }
  },

  async "a rate that is paid first is paid on the provider's page, then booked"(t) {
    const view = await search(t, { endpoint: "paid", size: PHONE });
    await view.shows(/^Hotels in/);
    await view.click(/^See rooms/);
    await view.click(/^Choose .*Non-refundable/);
    await view.shows("Who is staying?");
    await view.introduce("Anna", "Müller", "One more step at the payment page");
    await looksGood(view, "payment-phone-light", t);
    await view.click("Check again");
    await view.at.getByText("Not paid yet").waitFor();
    await view.click("Open the payment page");
    await view.asks("ui/open-link");
    const [{ params }] = await view.page.evaluate(() => host.sent("ui/open-link"));
    // What the host does with the link: another page, which is the provider's.
    const page = await view.context.newPage();
    await page.goto(params.url);
    await page.getByRole("button", { name: "Pay" }).click();
    await page.getByText("Done.").waitFor();
    await page.close();
    await view.shows("Review and book");
    await view.at.getByText("nothing is taken yet").first().waitFor();
    await looksGood(view, "paid-review-phone-light", t);
    await view.at.getByRole("checkbox").check();
    await view.click(/^Book for/);
    await view.shows("You are booked");
  },

  async "a quote whose answer is lost, and one that ran out, say so"(t) {
    const view = await search(t, { clock: true });
    await view.walkToReview();
    await view.at.getByRole("checkbox").check();
    await view.click(/^Book for/);
    await view.shows("You are booked");
    await view.click("Cancel this booking");
    await view.shows("Cancel this booking?");
    await view.page.evaluate(() => {
      host.overrides.confirm_cancellation = () => {
        delete host.overrides.confirm_cancellation;
        throw new Error("the connection was lost");
      };
    });
    await view.at.getByRole("checkbox").check();
    await view.click("Cancel the booking");
    await view.shows("We do not know yet whether this was done");
    await looksGood(view, "quote-unknown-phone-light", t);
    await view.click("Look at the booking");
    await view.shows("Your booking");
    await view.click("Cancel this booking");
    await view.shows("Cancel this booking?");
    await view.page.clock.runFor(3_600_000);
    await view.shows("These terms are no longer held");
    await looksGood(view, "quote-expired-phone-light", t);
  },

  async "bookings are listed and opened"(t) {
    const first = await search(t);
    await first.walkToReview();
    await first.at.getByRole("checkbox").check();
    await first.click(/^Book for/);
    await first.shows("You are booked");
    const label = await first.at.locator(".done .total").textContent();
    const view = await View.open(t, { tool: "list_my_bookings", args: {}, size: PHONE });
    await view.shows("Your bookings");
    await looksGood(view, "bookings-phone-light", t);
    await view.click(`Open booking ${label}`);
    await view.shows("Your booking");
    await view.at.getByText(label).first().waitFor();
    await view.click("All bookings");
    await view.shows("Your bookings");
  },

  async "terms that run out are not agreed to any more"(t) {
    const view = await search(t, { clock: true });
    await view.walkToReview();
    await view.page.clock.runFor(3_600_000);
    await view.shows("The price is no longer held");
  },

  async "hostile names stay text and inside their frame"(t) {
    const names = [
      '<script>alert(1)</script><img src=x onerror=alert(2)>"><svg onload=alert(3)>',
      "\u202eevil\u202c \u2066hidden\u2069 فندق الاختبار \u200b\u200e",
      "W".repeat(10_000),
      "🏨".repeat(300) + "👩‍👩‍👧‍👦",
      "Zal\u0336\u0321go ".repeat(50),
      "javascript:alert(4) {{constructor.constructor('alert(5)')()}} ${alert(6)}",
    ];
    const view = await search(t, { size: PHONE });
    await view.shows(/^Hotels in/);
    await view.page.evaluate((names) => {
      const result = structuredClone(host.result);
      const found = result.structuredContent;
      found.place.label = `${names[0]}, x`;
      found.assumptions = names;
      found.sort_explanation = names[2];
      found.hotels = names.map((name, index) => {
        const hotel = structuredClone(found.hotels[index % found.hotels.length]);
        hotel.name = hotel.district = hotel.best_offer.room_type.name = name;
        return hotel;
      });
      host.deliver(result);
    }, names);
    await view.at.getByRole("button", { name: /^See rooms of <script>/ }).waitFor();
    const seen = await view.evaluate(() => ({
      made: document.querySelectorAll("main script, main img, main svg[onload]").length,
      invisible: /[\u200b\u200e\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText),
      longest: Math.max(...[...document.querySelectorAll("bdi")].map((element) => [...element.textContent].length)),
    }));
    expect(seen.made === 0 && !seen.invisible && seen.longest <= 400, seen);
    expect((await view.overflow()) <= 0, await view.overflow());
    await view.picture(`${t.pictures}/hostile-phone-light.png`);
  },

  async "money is written by the currency's own digits"(t) {
    const view = await search(t, { context: { locale: "de-DE" } });
    await view.shows(/^Hotels in/);
    await view.page.evaluate(() => {
      const result = structuredClone(host.result);
      const [yen, dinar] = result.structuredContent.hotels;
      result.structuredContent.hotels = [yen, dinar];
      yen.best_offer.total = { amount: 61240, currency: "JPY", exponent: 0, display: "" };
      dinar.best_offer.total = { amount: 9007199254740991, currency: "KWD", exponent: 3, display: "" };
      host.deliver(result);
    });
    await view.at.getByText(/^61\.240\s¥$/).waitFor();
    await view.at.getByText(/^9\.007\.199\.254\.740,991\sKWD$/).waitFor();
  },

  async "theme, colours and language follow the host"(t) {
    const view = await search(t);
    await view.shows(/^Hotels in/);
    const ground = () => view.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    expect((await ground()) === "rgb(255, 255, 255)", await ground());
    await view.page.evaluate(() => host.change({ theme: "dark" }));
    await view.frame.waitForFunction(() => getComputedStyle(document.documentElement).backgroundColor === "rgb(23, 25, 28)");
    // A part of a set could hide text, and an address could be loaded: neither is taken.
    await view.page.evaluate(() => host.change({ styles: { variables: { "--color-text-primary": "rgb(23, 25, 28)", "--font-sans": "url(https://example.com/x)" } } }));
    const set = ["background-primary", "background-secondary", "text-primary", "text-secondary", "border-primary"];
    await view.page.evaluate((set) => {
      const variables = Object.fromEntries(set.map((name) => [`--color-${name}`, name.startsWith("background") ? "rgb(1, 2, 3)" : "rgb(250, 251, 252)"]));
      host.change({ styles: { variables } });
    }, set);
    await view.frame.waitForFunction(() => getComputedStyle(document.documentElement).backgroundColor === "rgb(1, 2, 3)");
    expect(await view.evaluate(() => !document.documentElement.style.getPropertyValue("--font-sans")), "an address was taken");
  },

  async "a place that is not clear is asked for"(t) {
    const view = await search(t, { args: { ...boston(t), place: "Portland" } });
    await view.shows("Which place do you mean?");
    await looksGood(view, "place-phone-light", t);
    await view.click(/Portland, Maine/);
    await view.shows("Hotels in Portland");
    const [[, args]] = await view.calls();
    expect(/^geonames:/.test(args.place) && args.check_in === day(t.arrival), args);
  },

  async "hotels can be sorted and more of them shown"(t) {
    const view = await search(t);
    await view.shows(/^Hotels in/);
    await view.at.getByLabel("Sort by").selectOption("price");
    await view.frame.waitForFunction(() => document.getElementById("order").value === "price" && document.activeElement.id === "order");
    const before = await view.at.locator("li.card").count();
    await view.click("More hotels");
    await view.frame.waitForFunction((before) => document.querySelectorAll("li.card").length > before, before);
    const [, [, args]] = await view.calls();
    expect(args.sort === "price" && args.cursor, args);
  },

  async "the view works behind an endpoint with several servers"(t) {
    const view = await search(t, { endpoint: "merged", tool: "travel_search_hotels" });
    await view.shows(/^Hotels in/);
    const uri = await view.page.evaluate(() => host.page.uri);
    expect(uri === "ui://travel_airside/hotels.html", uri);
    const { resources } = await view.page.evaluate(() => host.rpc("resources/list", {}));
    expect(resources.some((listed) => listed.uri === uri && listed._meta.ui.csp), resources);
    await view.click(/^See rooms/);
    await view.at.getByRole("button", { name: /^Choose/ }).first().waitFor();
    const names = (await view.calls()).map(([tool]) => tool).toSorted();
    expect(names.join() === "travel_check_availability,travel_get_hotel", names);
    // Nobody is known here, so nothing may be booked: the choice goes to the assistant.
    await view.click(/^Choose/);
    await view.at.getByText("Nothing can be booked here.").waitFor();
    const [{ params }] = await view.page.evaluate(() => host.sent("ui/message"));
    expect(/^I choose the offer ofr_[\w-]+\.$/.test(params.content.text), params);
  },

  async "a refused call says what to change and leaves the view usable"(t) {
    const view = await search(t);
    await view.shows(/^Hotels in/);
    await view.page.evaluate(() => {
      host.overrides.check_availability = (args, ask) => {
        delete host.overrides.check_availability;
        return host.rpc("tools/call", { name: "check_availability", arguments: { ...args, check_in: "2020-01-01" } });
      };
    });
    await view.click(/^See rooms/);
    await view.at.getByRole("alert").getByText(/in the past.*TRV-003/s).waitFor();
    const violations = await view.violations();
    expect(violations.length === 0, violations);
    await view.click(/^See rooms/);
    await view.at.getByRole("button", { name: /^Choose/ }).first().waitFor();
  },

  async "without a network the view says so and asks for nothing itself"(t) {
    const view = await search(t);
    await view.shows(/^Hotels in/);
    await view.context.setOffline(true);
    await view.click(/^See rooms/);
    await view.at.getByRole("alert").getByText("could not pass the request on").waitFor();
    view.forgive(/ERR_INTERNET_DISCONNECTED/);
  },

  async "only the host is listened to"(t) {
    const view = await search(t);
    await view.shows(/^Hotels in/);
    const title = await view.evaluate(async () => {
      const forged = { jsonrpc: "2.0", method: "ui/notifications/tool-cancelled", params: {} };
      const frame = document.createElement("iframe");
      document.body.append(frame);
      const heard = new Promise((resolve) => addEventListener("message", resolve, { once: true }));
      window.postMessage(forged, "*");
      await heard;
      frame.remove();
      return document.getElementById("title").textContent;
    });
    expect(title.startsWith("Hotels in"), title);
  },

  async "the view ends when the host says so"(t) {
    const view = await search(t);
    await view.shows(/^Hotels in/);
    const answer = await view.page.evaluate(() => host.teardown());
    expect(JSON.stringify(answer) === "{}", answer);
    await view.click(/^See rooms/);
    expect((await view.calls()).length === 0, await view.calls());
  },

  async "a host that never answers is not waited for"(t) {
    const view = await search(t, {
      clock: true,
      context: { silent: true },
    });
    await view.asks("ui/initialize");
    await view.page.clock.runFor(16_000);
    await view.at.getByRole("alert").getByText("no assistant answered").waitFor();
  },

  async "a host with window.openai alone is served too"(t) {
    const view = await search(t, { clock: true, context: { silent: true }, script: otherHost });
    await view.asks("ui/initialize");
    await view.page.clock.runFor(3_000);
    await view.shows(/^Hotels in/);
    expect(await view.evaluate(() => document.documentElement.dataset.theme === "dark"), "the theme is not taken");
    await view.click(/^See rooms/);
    await view.at.getByRole("button", { name: /^Choose/ }).first().waitFor();
  },
};

async function tour(view, name, t) {
  await view.shows(/^Hotels in/);
  await looksGood(view, `results-${name}`, t);
  await view.click(/^See rooms/);
  await view.at.getByRole("button", { name: /^Choose/ }).first().waitFor();
  await looksGood(view, `rooms-${name}`, t);
  await view.click(/^Choose/);
  await view.shows("Who is staying?");
  await looksGood(view, `guest-${name}`, t);
  await view.introduce();
  await looksGood(view, `review-${name}`, t);
  await view.at.getByRole("checkbox").check();
  await view.click(/^Book for/);
  await view.shows("You are booked");
  await looksGood(view, `booked-${name}`, t);
}

/** Presses Tab until `wanted` holds for the focused element, which has to look focused. */
async function tabTo(view, wanted, argument) {
  for (let presses = 0; presses < 60; presses += 1) {
    await view.page.keyboard.press("Tab");
    const reached = await view.evaluate(
      ([wanted, argument]) => {
        const element = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const visible = element === document.body || (outlineStyle !== "none" && outlineWidth !== "0px");
        return { is: Function(`return (${wanted})`)()(element, argument), visible, html: element.outerHTML.slice(0, 100) };
      },
      [wanted.toString(), argument],
    );
    expect(reached.visible, reached);
    if (reached.is) return;
  }
  throw new Error(`the focus never came to ${wanted} ${argument ?? ""}`);
}

async function press(view, name) {
  await tabTo(view, (element, name) => element.tagName === "BUTTON" && new RegExp(name).test(element.textContent), name.source);
  await view.page.keyboard.press("Enter");
}

async function focusIsOnTitle(view) {
  await view.frame.waitForFunction(() => document.activeElement.id === "title");
}
