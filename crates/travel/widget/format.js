// Money, dates and words for people, in the host's language and region.

/** Longest text of a supplier that is shown, in characters. */
const LONGEST = 160;
/** Characters that nobody sees but that reorder or hide others. */
const INVISIBLE = /[\p{Cc}\p{Cs}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/gu;

let locale = undefined;
let here = undefined;

/** Takes the host's language if it is one. */
function useLocale(tag) {
  try {
    locale = Intl.getCanonicalLocales(tag)[0] ?? locale;
  } catch {
    // A tag that nobody knows changes nothing.
  }
}

/** Takes the traveller's time zone if it is one. */
function useTimeZone(name) {
  if (moment(new Date().toISOString(), name) !== null) here = name;
}

/** Returns text from outside, short and without invisible characters. */
function clean(text, longest = LONGEST) {
  const visible = Array.from(String(text ?? "").slice(0, 8 * longest).replace(INVISIBLE, ""));
  if (visible.length <= longest) return visible.join("");
  return `${visible.slice(0, longest - 1).join("")}…`;
}

/** Writes an amount of minor units exactly: no floating point takes part. */
function money({ amount, currency, exponent }) {
  const digits = String(Math.abs(amount)).padStart(exponent + 1, "0");
  const whole = digits.slice(0, digits.length - exponent);
  const part = exponent > 0 ? `.${digits.slice(-exponent)}` : "";
  const decimal = `${amount < 0 ? "-" : ""}${whole}${part}`;
  try {
    const format = new Intl.NumberFormat(locale, {
      style: "currency",
      currency,
      minimumFractionDigits: exponent,
      maximumFractionDigits: exponent,
    });
    return format.format(decimal);
  } catch {
    return `${decimal} ${clean(currency, 8)}`;
  }
}

/** Writes a date of the hotel's calendar, such as `Sat, Dec 5`. */
function day(date, options = { weekday: "short", day: "numeric", month: "short" }) {
  const read = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date ?? "");
  if (!read) return clean(date, 20);
  const instant = Date.UTC(Number(read[1]), Number(read[2]) - 1, Number(read[3]));
  return new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" }).format(instant);
}

/** Writes an instant on the clock of a time zone; null if that cannot be done. */
function moment(instant, timeZone) {
  const at = Date.parse(instant ?? "");
  if (Number.isNaN(at) || !timeZone) return null;
  try {
    return new Intl.DateTimeFormat(locale, {
      weekday: "short",
      day: "numeric",
      month: "short",
      hour: "numeric",
      minute: "2-digit",
      timeZoneName: "short",
      timeZone,
    }).format(at);
  } catch {
    return null;
  }
}

/** Writes the time of day of an instant where the traveller is. */
function clock(instant) {
  const at = Date.parse(instant ?? "");
  if (Number.isNaN(at)) return "";
  return new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit", timeZone: here }).format(at);
}

function count(number, one, many = `${one}s`) {
  const written = new Intl.NumberFormat(locale).format(number);
  return `${written} ${number === 1 ? one : many}`;
}

/** Writes metres as a distance that one walks or rides. */
function distance(metres) {
  const far = metres >= 1000;
  return new Intl.NumberFormat(locale, {
    style: "unit",
    unit: far ? "kilometer" : "meter",
    maximumFractionDigits: far ? 1 : 0,
  }).format(far ? metres / 1000 : metres);
}

/** Returns adults, children and rooms of a stay, counted. */
function party(stay) {
  const adults = stay.rooms.reduce((sum, room) => sum + room.adults, 0);
  const children = stay.rooms.reduce((sum, room) => sum + room.child_ages.length, 0);
  const parts = [count(stay.nights, "night"), count(adults, "adult")];
  if (children > 0) parts.push(count(children, "child", "children"));
  if (stay.rooms.length > 1) parts.push(count(stay.rooms.length, "room"));
  return parts;
}

/** Writes until when cancelling is free, by the hotel's clock, and what it costs then. */
function cancellation({ cancellation: terms, total }, timeZone) {
  const penalty = money(terms.penalty);
  if (!terms.free_now) {
    const all = terms.penalty.amount >= total.amount;
    return {
      free: false,
      short: all ? "Not refundable" : `Cancelling costs ${penalty}`,
      long: all ? `Not refundable: cancelling costs the whole ${penalty}.` : `Cancelling costs ${penalty}.`,
    };
  }
  const until = moment(terms.free_until, timeZone) ?? clean(terms.free_until_local, 60);
  return {
    free: true,
    short: `Free cancellation until ${until}`,
    long: `Cancelling is free until ${until} (the hotel’s local time). From then on it costs ${penalty}.`,
  };
}
