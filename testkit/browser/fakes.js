// Answers that a real server gives only now and then, made from real offers. Loaded
// into the host page by the checks that need them.

"use strict";

window.fakes = {
  nonce: 0,

  /** A result of a session tool around an offer. */
  session(status, { found, offer, booker = null, change, top = "ok", hold_s = 900, confirmation }) {
    const { property_id, name, stay } = found;
    const digest = `digest-${offer.total.amount}`;
    const expires_at = new Date(Date.now() + hold_s * 1000).toISOString();
    const structuredContent = {
      status: top,
      change,
      session: {
        id: "bks_1",
        status,
        expires_at,
        property: { property_id, name, stars: 4, time_zone: "America/New_York" },
        stay,
        offer,
        booker,
        payment: { kind: "at_property", summary: "You pay at the hotel. No card number is needed here." },
        terms: [{ label: "House rules", text: "No smoking. Quiet from 22:00." }],
        terms_digest: digest,
        confirmation,
      },
      notices: { ai_disclosure: "You talk to an AI, which can make mistakes." },
    };
    const _meta = {};
    if (status === "ready_for_complete") {
      fakes.nonce += 1;
      _meta["airside/consent"] = { nonce: `nonce-${fakes.nonce}`, session_id: "bks_1", terms_digest: digest, expires_at };
    }
    return { content: [{ type: "text", text: "session" }], structuredContent, _meta, isError: false };
  },

  /** The token that the view has to send. */
  async token(nonce, { session_id, terms_digest, idempotency_key }) {
    const words = `airside-consent-v1\n${nonce}\n${session_id}\n${terms_digest}\n${idempotency_key}`;
    const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(words)));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  },

  /** A dearer offer of the same room. */
  dearer(offer, by) {
    const more = (money) => ({ ...money, amount: money.amount + by });
    const totals = offer.totals.map((line) => (["total", "room"].includes(line.type) ? { ...line, amount: line.amount + by } : line));
    return { ...offer, total: more(offer.total), totals };
  },
};
