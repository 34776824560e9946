// Drawings: a house for each hotel, and where the hotels of a search are. They are for
// the eyes only; the words beside them say the same.

/** A drawing made of closed shapes, each with a class. */
function drawing(name, width, height, shapes) {
  const node = ([tag, attributes, ...text]) => build(document.createElementNS(SVG, tag), attributes, text);
  const attributes = { viewBox: `0 0 ${width} ${height}`, class: name, "aria-hidden": "true" };
  return build(document.createElementNS(SVG, "svg"), attributes, shapes.map(node));
}

/** Numbers that look thrown and are always the same for one text. */
function dice(text) {
  let state = 1;
  for (const letter of String(text)) state = (state * 31 + letter.codePointAt(0)) % 65_537;
  return (sides) => {
    state = (state * 75 + 74) % 65_537;
    return state % sides;
  };
}

/** A house with more floors the more stars, for lists without photographs. */
function house(hotel) {
  const roll = dice(hotel.property_id);
  const hue = roll(12) * 30;
  const columns = 3 + roll(2);
  const floors = 2 + Math.max(0, Math.min(5, hotel.stars));
  const width = columns * 9 + 5;
  const left = (64 - width) / 2;
  const top = 68 - floors * 8;
  const [lit, dark] = [[], []];
  for (let at = 0; at < floors * columns; at += 1) {
    const [x, y] = [left + 4 + (at % columns) * 9, top + 4 + Math.floor(at / columns) * 8];
    (roll(3) === 0 ? lit : dark).push(`M${x} ${y}h5v5h-5z`);
  }
  const roofs = [
    `M${left - 2} ${top - 3}h${width + 4}v4h-${width + 4}z`,
    `M${left - 3} ${top + 1}L32 ${top - 9}L${67 - left} ${top + 1}z`,
    `M${left} ${top + 1}l5 -7h${width - 10}l5 7z`,
  ];
  const drawn = drawing("house", 64, 72, [
    ["circle", { class: "sun", cx: 10 + roll(44), cy: 12, r: 5 }],
    ["path", { class: "wall", d: `M${left} 80V${top}h${width}V80z` }],
    ["path", { class: "roof", d: roofs[roll(3)] }],
    ["path", { class: "dark", d: dark.join("") }],
    ["path", { class: "lit", d: lit.join("") }],
    ["path", { class: "roof", d: "M28 72v-4a4 4 0 0 1 8 0v4z" }],
  ]);
  drawn.style.setProperty("--hue", hue);
  return drawn;
}

const MAP = { width: 360, height: 168, edge: 18 };
/** Radii of circles around the centre, in metres. */
const RINGS = [250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000];
const METRES_PER_DEGREE = 111_195;

/** Where hotels are around the centre of their city, with their places in the list. */
function map(place, hotels) {
  const { latitude, longitude } = place.location;
  const shrink = Math.cos((latitude * Math.PI) / 180);
  const places = hotels.map(({ location }) => {
    // The shorter way, also where the date changes.
    const east = ((location.longitude - longitude + 540) % 360) - 180;
    return [east * shrink * METRES_PER_DEGREE, (latitude - location.latitude) * METRES_PER_DEGREE];
  });
  const { width, height, edge } = MAP;
  // From the first to the last along an axis, the centre among them.
  const span = (axis) => {
    const all = [0, ...places.map((at) => at[axis])];
    return [Math.min(...all), Math.max(...all)];
  };
  const [[west, easternmost], [north, south]] = [span(0), span(1)];
  const scale = Math.min((width - 2 * edge) / Math.max(200, easternmost - west), (height - 2 * edge) / Math.max(200, south - north));
  if (!Number.isFinite(scale)) return null;
  const x = (metres) => width / 2 + (metres - (west + easternmost) / 2) * scale;
  const y = (metres) => height / 2 + (metres - (north + south) / 2) * scale;
  const [cx, cy] = [x(0), y(0)];
  const rings = RINGS.filter((metres, index) => metres * scale > 24 && (metres - (RINGS[index - 1] ?? 0)) * scale > 12).slice(0, 3);
  const ring = (metres) => {
    const r = metres * scale;
    return [
      ["circle", { class: "ring", cx, cy, r }],
      ["text", { class: "far", x: cx, y: cy + r < height ? cy + r - 4 : cy - r + 12 }, distance(metres)],
    ];
  };
  const pin = ([east, down], index) => [
    ["circle", { class: "pin", cx: x(east), cy: y(down), r: 10 }],
    ["text", { class: "nth", x: x(east), y: y(down) + 3.8 }, String(index + 1)],
  ];
  return drawing("map", width, height, [
    ...rings.reverse().flatMap(ring),
    ["path", { class: "centre", d: `M${cx - 5} ${cy}h10M${cx} ${cy - 5}v10` }],
    // The first ones lie above the others.
    ...places.map(pin).reverse().flat(),
  ]);
}
