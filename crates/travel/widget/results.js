// The hotels of a search, and the question when a place is ambiguous.

const ORDERS = [
  ["recommended", "Recommended"],
  ["price", "Lowest price"],
  ["stars", "Most stars"],
  ["distance", "Nearest to the centre"],
];

function resultsView(found) {
  const { place, stay, hotels } = found;
  const city = clean(place.label).split(",")[0];
  const available = found.hotels_available ?? hotels.length;
  const list = h("ol", { class: "cards", role: "list" });
  list.append(...hotels.map((hotel, index) => hotelCard(hotel, stay, index + 1)));
  const drawn = h("div", { class: "around" }, hotels.length > 1 && map(place, hotels));
  return view(
    ["Hotels in ", told(city, 60)],
    [stayLine(stay)],
    assumptions(found.assumptions),
    hotels.length === 0
      ? h("p", { class: "note" }, "Nothing fits. Other dates, fewer rooms or fewer filters may help.")
      : [
          h("div", { class: "bar" }, h("p", { class: "quiet" }, `${count(available, "hotel")} can take the whole stay`), sorting()),
          drawn,
          list,
          more(found, list, drawn),
        ],
    found.sort_explanation && h("p", { class: "fine" }, told(found.sort_explanation, 400)),
    notices(found.notices),
  );
}

function hotelCard(hotel, stay, number) {
  const offer = hotel.best_offer;
  const terms = cancellation(offer, app.zone);
  const name = clean(hotel.name, 90);
  return h(
    "li",
    { class: "card hotel" },
    h("div", { class: "face" }, house(hotel), h("span", { class: "number", "aria-hidden": "true" }, String(number))),
    h(
      "div",
      { class: "about" },
      h("h2", {}, told(name), " ", stars(hotel.stars)),
      h(
        "p",
        { class: "quiet" },
        hotel.guest_rating !== undefined && [
          h("strong", { class: "rating" }, String(hotel.guest_rating), hidden(" out of 100, guest rating")),
          " ",
        ],
        hotel.district && [told(hotel.district, 50), " · "],
        `${distance(hotel.distance_to_centre_m)} from the centre`,
        hotel.price_as_of && " · price asked again before booking",
        hotel.sponsored && h("span", { class: "tag" }, "Sponsored"),
      ),
      h("p", {}, told(offer.room_type.name, 80)),
      offerFacts(offer, terms),
    ),
    h(
      "div",
      { class: "price" },
      priceBlock(offer, stay),
      button(["See rooms", hidden(` of ${name}`)], () => openHotel(hotel, stay), { class: "main" }),
    ),
  );
}

/** What else there is to know; how many rooms are left may be said elsewhere. */
function offerFacts(offer, terms, left = offer.rooms_left) {
  return h(
    "ul",
    { class: "facts", role: "list" },
    terms.free ? fact(TICK, terms.short, "good") : fact(WARN, terms.short),
    offer.breakfast_included && fact(CUP, "Breakfast included", "good"),
    scarce(left),
  );
}

function scarce(left) {
  return left <= 3 && fact(CLOCK, `Only ${left} left`, "warn");
}

/** What a price is for. */
function whole(stay) {
  const rooms = stay.rooms.length > 1 ? `${count(stay.rooms.length, "room")}, ` : "";
  return `for ${rooms}${count(stay.nights, "night")}, taxes and fees included`;
}

/** The all-in total first and largest; the rest explains it. */
function priceBlock(offer, stay, explained = [whole(stay), h("br")]) {
  const here = offer.pay_at_property.amount;
  const { pay_before_booking: before, guarantee } = offer;
  return [
    h("p", { class: "total" }, money(offer.total)),
    h(
      "p",
      { class: "quiet" },
      explained,
      `${money(offer.average_per_room_night)} per ${stay.rooms.length > 1 ? "room and night" : "night"}`,
      here > 0 && here < offer.total.amount && [h("br"), `${money(offer.pay_at_property)} of it at the hotel`],
      before && [h("br"), `${money(before)} is paid before booking`],
      guarantee && [h("br"), `a guarantee of ${money(guarantee)} is asked for before booking`],
    ),
  ];
}

function sorting() {
  const chosen = app.input.sort ?? "recommended";
  const choices = ORDERS.map(([value, label]) => h("option", { value, selected: value === chosen }, label));
  const select = h("select", { id: "order", onchange: () => searchAgain({ sort: select.value }, "Sorting…", "order") }, choices);
  return h("div", { class: "order" }, h("label", { for: "order" }, "Sort by"), select);
}

function more(found, list, drawn) {
  if (!found.next_cursor) return null;
  let cursor = found.next_cursor;
  const shown = [...found.hotels];
  const control = button("More hotels", () =>
    work("Looking for more hotels…", async () => {
      const next = await call("search_hotels", { ...searchArguments(), cursor });
      const cards = next.hotels.map((hotel, index) => hotelCard(hotel, next.stay, shown.length + index + 1));
      shown.push(...next.hotels);
      drawn.replaceChildren(map(found.place, shown) ?? "");
      list.append(...cards);
      announce(`${count(cards.length, "more hotel", "more hotels")}`);
      cards[0]?.querySelector("button").focus();
      cursor = next.next_cursor;
      if (!cursor) control.remove();
    }),
  );
  return control;
}

/** The arguments of the search that is shown, with the place said without doubt. */
function searchArguments() {
  const { cursor, ...rest } = app.input;
  const { place, stay } = app.found;
  return { ...rest, place: place.place_id, check_in: stay.check_in, check_out: stay.check_out, rooms: stay.rooms };
}

function searchAgain(change, label, focus) {
  return work(label, async () => {
    const wanted = { ...searchArguments(), ...change };
    const found = await call("search_hotels", wanted);
    app.input = wanted;
    arrive(found);
    document.getElementById(focus)?.focus();
  });
}

function placeView(found) {
  const choose = (candidate) =>
    button(
      [told(candidate.label), h("span", { class: "quiet" }, `${count(candidate.population, "inhabitant")}`)],
      () =>
        work("Searching hotels…", async () => {
          const wanted = { ...app.input, place: candidate.place_id };
          const next = await call("search_hotels", wanted);
          app.input = wanted;
          arrive(next, { focus: true });
        }),
      { class: "choice" },
    );
  return view(
    ["Which place do you mean?"],
    ["Several cities have this name."],
    h("ul", { class: "cards", role: "list" }, found.candidates.map((candidate) => h("li", {}, choose(candidate)))),
  );
}

function stayLine(stay) {
  const dates = `${day(stay.check_in)} – ${day(stay.check_out)}`;
  return [dates, ...party(stay)].join(" · ");
}

function assumptions(list) {
  if (!list?.length) return null;
  return h("ul", { class: "note", role: "list" }, list.map((text) => h("li", {}, told(text, 300))));
}

function notices(list) {
  if (!list) return null;
  const shown = [list.ai_disclosure, list.inventory, list.attribution];
  return h("footer", { class: "fine" }, shown.filter(Boolean).map((text) => h("p", {}, told(text, 400))));
}
