// The page on which a person uses a view that is recorded. `given` is what the host shows.
(() => {
  "use strict";
  const send = (where, body) => fetch(where, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  globalThis.airsideHost = async (asked) => {
    const answer = await send("call", JSON.parse(asked));
    globalThis.airsideAnswer(await answer.json());
  };
  HOST(GIVEN);
  const frame = document.querySelector("iframe");
  frame.style.height = "calc(100vh - 3rem)";
  const bar = document.createElement("header");
  bar.style = "height:3rem;display:flex;gap:1rem;align-items:center;padding:0 1rem;font:15px system-ui;border-bottom:1px solid #888";
  const done = document.createElement("button");
  done.textContent = "Done";
  const told = document.createElement("output");
  told.textContent = "What you do in the view is written down.";
  bar.append(done, told);
  document.body.prepend(bar);
  let steps = 0;
  addEventListener("message", async ({ source, data }) => {
    if (source !== frame.contentWindow || typeof data?.airsideDid !== "object") return;
    const kept = await send("did", data.airsideDid);
    told.textContent = kept.ok ? `${++steps} steps written down` : "that step cannot be written down";
  });
  done.onclick = async () => {
    done.disabled = true;
    await send("done", {});
    told.textContent = "Done. This page can be closed.";
  };
})();
