// Elements. What comes from outside becomes a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element. Functions under `on…` listen; strings among the children are text. */
function h(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  const wanted = (child) => child !== undefined && child !== null && child !== false;
  element.append(...children.flat(3).filter(wanted));
  return element;
}

/** Text of a supplier: short, and its direction kept to itself. */
function told(text, longest) {
  return h("bdi", {}, clean(text, longest));
}

/** A drawing of one stroke, for the eyes only. */
function icon(path) {
  const stroke = build(document.createElementNS(SVG, "path"), { d: path }, []);
  const attributes = { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" };
  return build(document.createElementNS(SVG, "svg"), attributes, [stroke]);
}

const TICK = "M5 12.5l4.5 4.5L19 7.5";
const CUP = "M5 8h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4zM16 9.5h2a2 2 0 0 1 0 5h-2";
const PIN = "M12 21c4-4.6 6-8 6-11a6 6 0 1 0-12 0c0 3 2 6.4 6 11zM12 12a2 2 0 1 0 0-4 2 2 0 0 0 0 4z";
const BACK = "M14.5 6l-6 6 6 6";
const WARN = "M12 4l9 16H3zM12 10v4M12 17v.5";
const CLOCK = "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7.5V12l3 2";

function hidden(text) {
  return h("span", { class: "unseen" }, text);
}

function button(label, action, attributes = {}) {
  return h("button", { type: "button", onclick: action, ...attributes }, label);
}

function stars(number) {
  const filled = Math.max(0, Math.min(5, number));
  return h("span", { class: "stars" }, h("span", { "aria-hidden": "true" }, "★".repeat(filled)), hidden(count(filled, "star")));
}

/** A fact beside a picture. */
function fact(path, text, kind = "") {
  return h("li", { class: `fact ${kind}` }, icon(path), h("span", {}, text));
}
