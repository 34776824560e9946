// Tells the host what a person does in the view: by role and name, as steps of suites
// tell it. Runs before the view's own scripts.
(() => {
  "use strict";
  const roles = { A: "link", BUTTON: "button", SELECT: "combobox", TEXTAREA: "textbox", SUMMARY: "DisclosureTriangle", OPTION: "option" };
  const inputs = { button: "button", submit: "button", reset: "button", image: "button", checkbox: "checkbox", radio: "radio", range: "slider", number: "spinbutton", search: "searchbox" };
  const own = "a[href],button,input,select,textarea,summary,[role]";
  const plain = (text) => (text ?? "").replace(/\s+/g, " ").trim().slice(0, 200);
  const role = (e) => e.getAttribute("role") || (e.tagName === "INPUT" ? inputs[e.type] ?? "textbox" : roles[e.tagName] ?? "generic");
  const name = (e) => {
    const by = (e.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => id && document.getElementById(id)?.textContent).filter(Boolean).join(" ");
    const labels = [...(e.labels ?? [])].map((label) => {
      const copy = label.cloneNode(true);
      copy.querySelectorAll("input,select,textarea").forEach((field) => field.remove());
      return copy.textContent;
    }).join(" ");
    const field = /^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName);
    const said = field ? (/^(button|submit|reset)$/.test(e.type) ? e.value : "") : e.textContent;
    return plain(by || e.getAttribute("aria-label") || labels || said || e.getAttribute("alt") || e.title || e.placeholder);
  };
  const tell = (deed) => parent.postMessage({ airsideDid: deed }, "*");
  addEventListener("click", (event) => {
    if (!event.isTrusted) return;
    // A label hands its click on to its field, which tells of it.
    const label = event.target.closest?.("label");
    const inner = event.target.closest?.(own);
    if (label?.control && inner !== label.control && !(inner && label.contains(inner))) return;
    if (!inner || role(inner) === "textbox" || role(inner) === "searchbox") return;
    tell({ click: { role: role(inner), name: name(inner) } });
  }, true);
  addEventListener("change", (event) => {
    const field = event.target;
    if (!event.isTrusted || !/^(INPUT|TEXTAREA)$/.test(field.tagName) || role(field) !== "textbox") return;
    // What is secret is not written into a suite.
    if (field.type === "password") tell({ secret: name(field) });
    else tell({ fill: { name: name(field), text: field.value.slice(0, 2000) } });
  }, true);
})();
