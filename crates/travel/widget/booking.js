// From a chosen room to a booking: who stays, what is agreed to, how it ended.

/** Keys of sessions that may have been opened although no answer came. */
const opening = new Map();

/** Holds the chosen room and goes on to the traveller's details. */
function choose(offer) {
  return work("Holding the room…", async () => {
    const key = opening.get(offer.offer_ref) ?? crypto.randomUUID();
    opening.set(offer.offer_ref, key);
    try {
      const result = await call("create_booking_session", { offer_ref: offer.offer_ref, idempotency_key: key });
      opening.delete(offer.offer_ref);
      arrive(result, { focus: true });
      tell({ booking_session: result.session.id, status: result.session.status, offer_ref: offer.offer_ref });
    } catch (error) {
      if (error instanceof Refused) opening.delete(offer.offer_ref);
      if (!(error instanceof HostError)) throw error;
      await handOver(offer);
    }
  });
}

/** Where this caller may not book, the choice goes back into the conversation. */
async function handOver({ offer_ref }) {
  const text = `I choose the offer ${offer_ref}.`;
  await app.bridge.request("ui/message", { role: "user", content: { type: "text", text } });
  announce("Your assistant knows your choice.");
  main.prepend(h("p", { class: "note", role: "status" }, "Nothing can be booked here. Your assistant knows which room you chose."));
}

/** What is shown for a session follows from its state alone. */
function sessionView(result) {
  const { session } = result;
  app.zone = session.property.time_zone ?? app.zone;
  if (result.status === "outcome_unknown") return unknownView(session);
  switch (session.status) {
    case "incomplete":
      return guestView(result);
    case "ready_for_complete":
      return result.consent ? reviewView(result) : guestView(result);
    case "complete_in_progress":
      return unknownView(session);
    case "completed":
      return bookedView(result);
    case "requires_escalation":
      return escalationView(result);
    default:
      return view(
        ["Nothing was booked"],
        ["The room is no longer held for you."],
        session.messages?.map(({ content }) => h("p", { class: "note" }, told(content, 300))),
        backToRooms(),
        backToResults(),
      );
  }
}

const FIELDS = [
  { name: "first_name", label: "First name", type: "text", autocomplete: "given-name", required: true, wrong: "Please enter the first name." },
  { name: "last_name", label: "Last name", type: "text", autocomplete: "family-name", required: true, wrong: "Please enter the last name." },
  { name: "email", label: "E-mail for the confirmation", type: "email", autocomplete: "email", required: true, wrong: "Please enter an e-mail address such as anna@example.com." },
  { name: "phone_number", label: "Telephone (optional)", type: "tel", autocomplete: "tel", required: false, wrong: "" },
];

function guestView(result) {
  const { session } = result;
  const fields = FIELDS.map((field) => guestField(field, session.booker?.[field.name]));
  const next = () => {
    const wrong = fields.filter((field) => !field.check());
    if (wrong.length > 0) return wrong[0].input.focus();
    const entered = fields.map(({ input }) => [input.name, input.value.trim()]);
    const booker = Object.fromEntries(entered.filter(([, value]) => value !== ""));
    return work("Saving…", async () => {
      const { id: session_id, offer } = session;
      const changed = { session_id, offer_ref: offer.offer_ref || undefined, booker };
      arrive(await call("update_booking_session", changed), { focus: true });
    });
  };
  for (const { input } of fields) {
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") next();
    });
  }
  return view(
    ["Who is staying?"],
    [],
    backToRooms(session),
    session.messages?.filter(({ code }) => code.startsWith("payment_")).map(({ content }) => h("p", { class: "note care", role: "alert" }, told(content, 400))),
    summary(session),
    h(
      "section",
      { class: "fields", "aria-label": "Main guest" },
      fields.map(({ element }) => element),
    ),
    h("p", { class: "quiet" }, "These details go to the hotel with your booking."),
    button("Continue to review", next, { class: "main wide" }),
  );
}

function guestField({ name, label, type, autocomplete, required, wrong }, value) {
  const input = h("input", { id: name, name, type, autocomplete, required, maxlength: 120, "aria-describedby": `${name}-wrong`, value });
  const missing = h("p", { id: `${name}-wrong`, class: "missing" });
  const check = () => {
    const good = input.validity.valid && (!required || input.value.trim() !== "");
    missing.textContent = good ? "" : wrong;
    input.setAttribute("aria-invalid", String(!good));
    return good;
  };
  input.addEventListener("change", () => missing.textContent && check());
  return { element: h("div", { class: "field" }, h("label", { for: name }, label), input, missing), input, check };
}

/** Hotel, room and dates of a session or booking. */
function summary({ property, stay, offer, booker }) {
  const guest = booker && [booker.first_name, booker.last_name].filter(Boolean).join(" ");
  return h(
    "section",
    { class: "card tall", "aria-label": "Your stay" },
    h("h2", {}, told(property.name, 90), " ", property.stars && stars(property.stars)),
    h(
      "ul",
      { class: "facts", role: "list" },
      h("li", {}, told(offer.room_type.name), " · ", told(offer.rate_plan.name)),
      h("li", {}, stayLine(stay)),
      guest && h("li", {}, told(guest), booker.email && [" · ", told(booker.email)]),
    ),
  );
}

function reviewView(result) {
  const { session, consent, change } = result;
  const { offer, payment } = session;
  return view(
    ["Review and book"],
    [],
    h("div", { class: "bar" }, backToRooms(session), button("Change details", () => show(guestView(result), { focus: true }), { class: "plain" })),
    changeNote(change),
    summary(session),
    priceCard(offer),
    h("section", { class: "terms" }, h("h2", {}, "If plans change"), h("p", {}, cancellation(offer, app.zone).long)),
    payment && h("section", { class: "terms" }, h("h2", {}, "Payment"), h("p", {}, told(payment.summary, 400))),
    termsList(session.terms),
    disclosure(result.notices),
    consentPanel({
      statement: `I have read the price and the terms, and I want to book for ${money(offer.total)}.`,
      label: `Book for ${money(offer.total)}`,
      expires: session.expires_at,
      confirm: () => book(session, consent),
      expired: () => show(expiredView(session)),
    }),
  );
}

/** The whole price, how it arises, and when which part is paid. */
function priceCard(offer) {
  const later = offer.pay_at_property;
  const now = { ...offer.total, amount: offer.total.amount - later.amount };
  return h(
    "section",
    { class: "card tall", "aria-label": "Price" },
    h("p", { class: "quiet" }, "Total, all taxes and fees included"),
    h("p", { class: "total grand" }, money(offer.total)),
    later.amount > 0 && now.amount > 0 && h("p", { class: "quiet" }, `${money(now)} for the rooms and charges of the booking, ${money(later)} collected by the hotel`),
    breakdown(offer, true),
  );
}

function changeNote(change) {
  if (!change) return null;
  return h(
    "div",
    { class: "note care", role: "alert" },
    icon(WARN),
    h(
      "div",
      {},
      h("p", {}, h("strong", {}, "The price has changed. Nothing has been booked.")),
      h("p", {}, "Before: ", h("s", {}, money(change.before)), `, now: ${money(change.after)} (${difference(change)}).`),
      change.summary && h("p", { class: "quiet" }, told(change.summary, 300)),
    ),
  );
}

function difference({ before, after }) {
  const amount = after.amount - before.amount;
  return `${amount > 0 ? "+" : ""}${money({ ...after, amount })}`;
}

function book(session, consent) {
  return work("Booking. Please wait…", async () => {
    const result = await agree("complete_booking_session", { session_id: session.id }, consent);
    if (result === null) return show(unknownView(session), { focus: true });
    arrive(result, { focus: true });
    const { id, status, confirmation } = result.session;
    tell({ booking_session: id, status, booking_id: confirmation?.id });
  });
}

/**
 * Asks for a session again by itself, ever more rarely, for as long as `checked` is
 * shown. `take` shows a result that ends the wait, or says what is still so.
 */
function asking(session, take) {
  const checked = h("p", { class: "quiet", role: "status" });
  let wait = 4_000;
  const look = async () => {
    const result = await call("get_booking_session", { session_id: session.id });
    if (!checked.isConnected) return;
    const still = take(result);
    if (still) checked.textContent = `${still} at ${clock(new Date().toISOString())}.`;
  };
  const later = () => {
    setTimeout(async () => {
      if (!checked.isConnected || app.closed) return;
      // Whoever asks now is answered first, and no answer is no news.
      if (!app.working) await look().catch(() => {});
      wait = Math.min(2 * wait, 60_000);
      later();
    }, wait);
  };
  later();
  return { checked, look };
}

function unknownView(session) {
  const { checked, look } = asking(session, (result) => {
    const open = result.status === "outcome_unknown" || result.session.status === "complete_in_progress";
    if (open) return "Still open";
    arrive(result, { focus: true });
    if (result.session.status === "ready_for_complete") {
      main.prepend(h("p", { class: "note care", role: "alert" }, "The booking has not been made so far. You can book now: the same request is never booked twice."));
    }
    return null;
  });
  return view(
    ["We do not know yet whether you are booked"],
    [],
    h(
      "div",
      { class: "note care" },
      icon(CLOCK),
      h(
        "div",
        {},
        h("p", {}, h("strong", {}, "Please do not book this stay again.")),
        h("p", {}, "Your booking was sent, but the answer did not arrive. It may have been made. This page keeps asking and shows the result as soon as it is known."),
      ),
    ),
    summary(session),
    h("p", {}, "Your reference: ", h("code", {}, told(session.id, 80))),
    button("Check again", () => work("Asking the hotel…", look), { class: "main wide" }),
    checked,
  );
}

function expiredView(session) {
  return view(
    ["The price is no longer held"],
    ["Nothing has been booked."],
    summary(session),
    session.offer.offer_ref && button("Check price and room again", () => choose(session.offer), { class: "main wide" }),
    backToResults(),
  );
}

/** The step that is taken elsewhere: the host opens the page, this one waits. */
function escalationView({ session, notices: list }) {
  const url = session.continue_url;
  const safe = typeof url === "string" && /^(https:\/\/|http:\/\/(127\.0\.0\.1|localhost)[:/])/.test(url);
  const { checked, look } = asking(session, (result) => {
    const waits = result.session?.status === "requires_escalation";
    if (waits && result.session.continue_url === url) return "Not paid yet";
    arrive(result, { focus: true });
    return null;
  });
  return view(
    ["One more step at the payment page"],
    [],
    backToRooms(session),
    summary(session),
    priceCard(session.offer),
    session.payment && h("p", {}, told(session.payment.summary, 400)),
    h("p", { class: "note" }, safe ? "Your card details are entered on the payment page only, never here. Nothing is booked yet; come back to review and book." : "The payment page is being prepared."),
    safe && h("p", { class: "quiet" }, "It opens at ", told(new URL(url).host, 80), "."),
    safe && button("Open the payment page", () => work("Opening…", () => app.bridge.request("ui/open-link", { url })), { class: "main wide" }),
    button("Check again", () => work("Checking…", look)),
    checked,
    h("p", { class: "quiet" }, `The room is held for you until ${clock(session.expires_at)}.`),
    disclosure(list),
  );
}

function bookedView({ session, notices: list }) {
  const { confirmation } = session;
  return view(
    ["You are booked"],
    [],
    h(
      "div",
      { class: "done" },
      h("span", { class: "seal" }, icon(TICK)),
      h("div", {}, h("p", { class: "quiet" }, "Confirmation number"), h("p", { class: "total" }, told(confirmation.label ?? confirmation.id, 60))),
    ),
    summary(session),
    priceCard(session.offer),
    h("section", { class: "terms" }, h("h2", {}, "If plans change"), h("p", {}, cancellation(session.offer, app.zone).long)),
    manage({ id: confirmation.id, stay: session.stay }),
    disclosure(list),
  );
}

/** Gives up the room that is held and returns to where it was chosen. */
function backToRooms(session) {
  if (!app.rooms) return null;
  const back = () => {
    if (!session) return arrive(app.rooms, { focus: true });
    return work("Releasing the room…", async () => {
      // It is released by time if not now.
      await call("cancel_booking_session", { session_id: session.id }).catch(() => {});
      arrive(app.rooms, { focus: true });
    });
  };
  return button([icon(BACK), "Other rooms"], back, { class: "back" });
}
