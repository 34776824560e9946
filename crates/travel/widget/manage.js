// Bookings that exist: looking at them, and the terms of a change or cancellation.

const STATES = {
  confirmed: "Confirmed",
  changed: "Changed",
  cancelled: "Cancelled",
  outcome_unknown: "Not known yet",
};

function bookingView({ booking, outcome, notices: list }) {
  app.zone = booking.property.time_zone ?? app.zone;
  const live = booking.status === "confirmed" || booking.status === "changed";
  return view(
    [outcome && booking.status === "cancelled" ? "Your booking is cancelled" : "Your booking"],
    [],
    app.bookings && button([icon(BACK), "All bookings"], () => arrive(app.bookings, { focus: true }), { class: "back" }),
    h("p", {}, h("span", { class: `state ${booking.status}` }, STATES[booking.status] ?? "Open"), " ", told(booking.label ?? booking.id, 60)),
    typeof outcome === "string" && h("p", { class: "note" }, told(outcome, 300)),
    summary(booking),
    priceCard(booking.offer),
    live && h("section", { class: "terms" }, h("h2", {}, "If plans change"), h("p", {}, cancellation(booking.offer, app.zone).long)),
    live && manage(booking),
    disclosure(list),
  );
}

function bookingsView({ bookings, notices: list }) {
  const card = (booking) =>
    h(
      "li",
      { class: "card hotel" },
      h("div", { class: "face" }, house(booking.property)),
      h("div", { class: "about" }, h("h2", {}, told(booking.property.name, 90)), h("p", { class: "quiet" }, stayLine(booking.stay)), h("p", {}, h("span", { class: `state ${booking.status}` }, STATES[booking.status] ?? "Open"))),
      h("div", { class: "price" }, h("p", { class: "total" }, money(booking.offer.total)), button(["Open", hidden(` booking ${clean(booking.label ?? booking.id, 60)}`)], () => openBooking(booking.id), { class: "main" })),
    );
  return view(
    ["Your bookings"],
    [],
    bookings.length === 0 ? h("p", { class: "note" }, "There are no bookings yet.") : h("ul", { class: "cards", role: "list" }, bookings.map(card)),
    disclosure(list),
  );
}

function openBooking(booking_id) {
  return work("Opening…", async () => arrive(await call("get_booking", { booking_id }), { focus: true }));
}

/** The ways out of a booking: other dates, or none. Both show their terms first. */
function manage({ id: booking_id, stay }) {
  const quote = (tool, args) => work("Asking for the terms…", async () => arrive(await call(tool, { booking_id, ...args }), { focus: true }));
  const date = (id, label, value) => {
    const input = h("input", { type: "date", id, value, required: true });
    return { input, element: h("div", { class: "field" }, h("label", { for: id }, label), input) };
  };
  const arrival = date("new-check-in", "New check-in", stay.check_in);
  const departure = date("new-check-out", "New check-out", stay.check_out);
  const change = () => quote("quote_booking_change", { check_in: arrival.input.value, check_out: departure.input.value });
  return h(
    "section",
    { class: "manage", "aria-label": "Change or cancel" },
    h(
      "details",
      {},
      h("summary", {}, "Change the dates"),
      h("div", { class: "fields" }, arrival.element, departure.element),
      button("See the new price", change),
    ),
    button("Cancel this booking", () => quote("quote_cancellation", {}), { class: "plain" }),
  );
}

/** Terms of a change or cancellation, to be agreed to like those of a booking. */
function quoteView(result) {
  const { quote, consent } = result;
  const cancels = quote.kind === "cancellation";
  const figure = (label, amount, grand = false) => amount && h("div", {}, h("dt", { class: "quiet" }, label), h("dd", { class: grand ? "total" : "" }, money(amount)));
  return view(
    [cancels ? "Cancel this booking?" : "Change this booking?"],
    [],
    button([icon(BACK), "Keep it as it is"], () => openBooking(quote.booking_id), { class: "back" }),
    h(
      "section",
      { class: "card tall", "aria-label": "What it costs" },
      quote.property && h("h2", {}, told(quote.property.name, 90)),
      h(
        "dl",
        { class: "figures" },
        figure("Cancelling costs", quote.penalty, true),
        figure("No longer owed", quote.refund),
        figure("Total after", quote.after, true),
        figure("Total before", quote.before),
        quote.difference && figure(quote.difference.amount < 0 ? "You pay less by" : "You pay more by", { ...quote.difference, amount: Math.abs(quote.difference.amount) }),
      ),
      quote.stay && h("p", {}, stayLine(quote.stay)),
      quote.offer && h("p", {}, told(quote.offer.room_type.name), " · ", told(quote.offer.rate_plan.name)),
      quote.offer && breakdown(quote.offer),
    ),
    quote.offer && h("section", { class: "terms" }, h("h2", {}, "If plans change again"), h("p", {}, cancellation(quote.offer, app.zone).long)),
    termsList(quote.terms),
    disclosure(result.notices),
    consent &&
      consentPanel({
        statement: cancels ? "I have read what cancelling costs, and I want to cancel." : "I have read the new price and terms, and I want to change.",
        label: cancels ? "Cancel the booking" : "Change the booking",
        expires: quote.expires_at,
        confirm: () => confirmQuote(quote, consent),
        expired: () => show(quoteExpired(quote)),
      }),
  );
}

function confirmQuote(quote, consent) {
  const cancels = quote.kind === "cancellation";
  return work(cancels ? "Cancelling. Please wait…" : "Changing. Please wait…", async () => {
    const tool = cancels ? "confirm_cancellation" : "confirm_booking_change";
    const result = await agree(tool, { quote_id: quote.id }, consent);
    if (result === null) return show(quoteUnknown(quote), { focus: true });
    arrive(result, { focus: true });
    if (result.booking) tell({ booking_id: result.booking.id, status: result.booking.status });
  });
}

function quoteUnknown(quote) {
  return view(
    ["We do not know yet whether this was done"],
    [],
    h("div", { class: "note care" }, icon(CLOCK), h("p", {}, "Your request was sent, but the answer did not arrive. Look at the booking before you try again.")),
    button("Look at the booking", () => openBooking(quote.booking_id), { class: "main wide" }),
  );
}

function quoteExpired(quote) {
  return view(["These terms are no longer held"], ["Nothing has been changed."], button("Look at the booking", () => openBooking(quote.booking_id), { class: "main wide" }));
}
