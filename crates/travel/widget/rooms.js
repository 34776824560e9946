// The rooms and rate plans of one hotel.

const REASONS = {
  occupancy: "too small for your party",
  closed: "not sold",
  sold_out: "sold out",
  closed_to_arrival: "no arrival possible",
  closed_to_departure: "no departure possible",
  minimum_stay: "longer stays only",
  maximum_stay: "shorter stays only",
};

/** Opens a hotel of the list: prices for the dates, and what the hotel is like. */
function openHotel(hotel, stay) {
  return work("Checking rooms…", async () => {
    const { check_in, check_out, rooms } = stay;
    const property_id = hotel.property_id;
    const [availability, details] = await Promise.all([
      call("check_availability", { property_id, check_in, check_out, rooms }),
      // Prices are worth showing without the description.
      call("get_hotel", { property_id }).catch(() => ({})),
    ]);
    arrive({ ...availability, profile: details.hotel }, { focus: true });
  });
}

function roomsView(found) {
  const { profile, stay, offers } = found;
  app.rooms = found;
  app.zone = profile?.time_zone ?? app.zone;
  const kinds = new Map();
  for (const offer of offers) {
    const kind = offer.room_type.code;
    kinds.set(kind, [...(kinds.get(kind) ?? []), offer]);
  }
  return view(
    [told(found.name, 90), profile && [" ", stars(profile.stars)]],
    [stayLine(stay)],
    backToResults(),
    profile && hotelFacts(profile),
    assumptions(found.assumptions),
    offers.length === 0
      ? h("p", { class: "note" }, "This hotel cannot take the stay. Other dates may fit.")
      : h("p", { class: "quiet" }, `Every price is the total ${whole(stay)}.`),
    h(
      "ul",
      { class: "cards", role: "list" },
      [...kinds.values()].map((plans) => roomCard(plans, found)),
    ),
    unavailableRooms(found.unavailable),
    notices(found.notices),
  );
}

function hotelFacts(profile) {
  const { street, district, city } = profile.address;
  const times = `Check-in from ${clean(profile.policies.check_in_from)}, check-out until ${clean(profile.policies.check_out_until)}`;
  const amenities = profile.amenities.map((name) => clean(name, 40).replaceAll("_", " ").replace("wifi", "Wi-Fi").replace(/^ev /, "EV "));
  return h(
    "ul",
    { class: "facts", role: "list" },
    fact(PIN, [told([street, district, city].filter(Boolean).join(", "))]),
    fact(CLOCK, times),
    amenities.length > 0 && fact(TICK, [told(raise(amenities.join(", ")), 300)]),
  );
}

function roomCard(plans, found) {
  const kind = found.profile?.room_types?.find((room) => room.code === plans[0].room_type.code);
  const left = Math.min(...plans.map((offer) => offer.rooms_left));
  return h(
    "li",
    { class: "card tall" },
    h("h2", {}, told(plans[0].room_type.name)),
    kind && h("p", { class: "quiet" }, kind.beds && [told(kind.beds), " · "], `up to ${count(kind.max_guests, "guest")}`),
    left <= 3 && h("ul", { class: "facts", role: "list" }, scarce(left)),
    h("ul", { class: "plans", role: "list" }, plans.map((offer) => planRow(offer, found))),
  );
}

function planRow(offer, found) {
  const terms = cancellation(offer, app.zone);
  const label = `${clean(offer.room_type.name, 60)}, ${clean(offer.rate_plan.name, 60)}`;
  return h(
    "li",
    { class: "plan" },
    h("div", { class: "about" }, h("h3", {}, told(offer.rate_plan.name)), offerFacts(offer, terms, Infinity)),
    h(
      "div",
      { class: "price" },
      priceBlock(offer, found.stay, null),
      button(["Choose", hidden(` ${label}`)], () => choose(offer), { class: "main" }),
    ),
    breakdown(offer),
  );
}

/** How the total arises, closed until somebody asks. */
function breakdown(offer, open = false) {
  const plain = { currency: offer.total.currency, exponent: offer.total.exponent };
  const where = { in_rate: "inside the room rate", at_booking: "on top of the room rate", at_property: "collected by the hotel" };
  const line = (entry) =>
    h(
      "tr",
      { class: entry.type === "total" ? "sum" : "" },
      h(
        "th",
        { scope: "row" },
        told(entry.label),
        entry.type !== "room" && entry.collected && h("span", { class: "quiet" }, [entry.basis, where[entry.collected]].filter(Boolean).map((text) => clean(text)).join(", ")),
      ),
      h("td", {}, money({ ...plain, amount: entry.amount })),
    );
  const table = h(
    "table",
    {},
    h("caption", { class: "unseen" }, "How the total arises"),
    h("tbody", {}, offer.totals.map(line)),
  );
  return h("details", { open }, h("summary", {}, "Price details"), table);
}

function unavailableRooms(list) {
  if (!list?.length) return null;
  const line = (room) => h("li", {}, told(room.room_type.name), ": ", REASONS[room.reason] ?? "not available", " (", told(room.detail), ")");
  return h("section", { class: "fine" }, h("h2", {}, "Not available for this stay"), h("ul", {}, list.map(line)));
}
