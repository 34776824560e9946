// The traveller's own word: what is agreed to, a control that has to be used, and the
// token that only this page can make.
//
// * One key for one attempt: it is kept until the outcome is known, so that trying
//   again can never book twice.
// * An answer that does not come is not a failure: it is an outcome nobody knows yet.

const CONSENT = "airside/consent";
/** Longest wait for a booking to be made, which a supplier may take some time for. */
const PATIENCE_MS = 45_000;

/** Keys of attempts whose outcome is not known, by what they agree to. */
const attempts = new Map();

/** Makes the token for one key from the nonce that the model never sees. */
async function mint({ nonce, session_id, terms_digest }, key) {
  const words = ["airside-consent-v1", nonce, session_id, terms_digest, key].join("\n");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(words));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Does what the traveller agreed to. Returns the tool's result, or null where it is
 * not known what happened.
 */
async function agree(tool, subject, consent) {
  const about = `${tool} ${consent.session_id} ${consent.terms_digest}`;
  const key = attempts.get(about) ?? crypto.randomUUID();
  attempts.set(about, key);
  const agreed = {
    ...subject,
    idempotency_key: key,
    terms_digest: consent.terms_digest,
    consent_token: await mint(consent, key),
    disclosure_shown: true,
  };
  try {
    const result = await call(tool, agreed, PATIENCE_MS);
    if (result.status !== "outcome_unknown") attempts.delete(about);
    return result;
  } catch (error) {
    if (error instanceof Refused) {
      attempts.delete(about);
      throw error;
    }
    return null;
  }
}

/** What has to be agreed to, a box to tick, and one button. */
function consentPanel({ statement, label, expires, confirm, expired }) {
  const box = h("input", { type: "checkbox", id: "agree", "aria-describedby": "agree-missing" });
  const missing = h("p", { id: "agree-missing", class: "missing" });
  box.addEventListener("change", () => {
    if (box.checked) {
      missing.textContent = "";
      box.removeAttribute("aria-invalid");
    }
  });
  const control = button(label, () => {
    if (app.working) return;
    if (box.checked) return confirm();
    missing.textContent = "Please tick the box first: nothing happens without it.";
    box.setAttribute("aria-invalid", "true");
    box.focus();
  }, { class: "main wide" });
  const panel = h(
    "section",
    { class: "consent", "aria-label": "Your agreement" },
    h("div", { class: "tick" }, box, h("label", { for: "agree" }, statement)),
    missing,
    control,
  );
  if (expires) {
    const left = Date.parse(expires) - Date.now();
    panel.append(h("p", { class: "quiet" }, `These terms are held for you until ${clock(expires)}.`));
    // Longer than a day is no hold that somebody waits for.
    if (left < 86_400_000) setTimeout(() => panel.isConnected && expired(), Math.max(0, left));
  }
  return panel;
}

/** Always there: agreeing says that it was shown. */
function disclosure(list) {
  const ours = "An AI assistant helps you here. It can make mistakes: please check the details.";
  return h("p", { class: "note" }, told(list?.ai_disclosure || ours, 400));
}

/** What the page itself shows of the terms; the rest is never folded away. */
const SHOWN = new Set(["Hotel", "Stay", "Room", "Price", "Cancellation", "Payment", "Price before", "Cancellation fee", "No longer owed", "Given back"]);

function termsList(terms) {
  if (!terms?.length) return null;
  const list = (some) => h("dl", {}, some.flatMap(({ label, text }) => [h("dt", {}, told(label, 120)), h("dd", {}, told(text, 1_200))]));
  const others = terms.filter(({ label }) => !SHOWN.has(label));
  return [
    others.length > 0 && h("section", { class: "terms" }, h("h2", {}, "Terms"), list(others)),
    others.length < terms.length && h("details", {}, h("summary", {}, "All terms in words"), list(terms.filter((term) => !others.includes(term)))),
  ];
}
