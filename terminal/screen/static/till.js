"use strict";
// The till. A sale has a name before it is asked for, and the name stays in this browser until what became of it is known: a page that is closed or
// a browser that dies in the middle asks again with the same name, and nobody pays twice.
const nameKey = "purselane-sale-" + lane;
let fen = 0;
let sale = load();
let asking = false;

function load() { try { return JSON.parse(localStorage.getItem(nameKey)); } catch { return null; } }
function keep(s) { sale = s; if (s) localStorage.setItem(nameKey, JSON.stringify(s)); else localStorage.removeItem(nameKey); draw(); }
function money() { return Math.floor(fen / 100) + "." + String(fen % 100).padStart(2, "0"); }

// name needs no secure context: the page is served over plain loopback or a LAN.
function name() {
  const raw = crypto.getRandomValues(new Uint8Array(12));
  return "till-" + Array.from(raw, (b) => b.toString(16).padStart(2, "0")).join("");
}

function draw() {
  el("amount").textContent = sale ? sale.amount : money();
  el("sell").textContent = word(first, asking ? "waiting" : sale ? "again" : "sell");
  el("sell").disabled = asking || !linked || Boolean(out) || (!sale && fen === 0);
  el("ask").hidden = asking || !sale;
  el("leave").hidden = asking || !sale;
  el("ask").textContent = word(first, "ask");
  el("leave").textContent = word(first, "leave");
  for (const b of el("pad").children) b.disabled = asking || Boolean(sale);
}

function press(key) {
  if (asking || sale) return;
  if (key === "C") fen = 0;
  else if (key === "<") fen = Math.floor(fen / 10);
  else if (fen < 10_000_000) fen = fen * 10 + Number(key);
  draw();
}

function answer(a) {
  const light = { completed: "green", unknown: "amber", refused: "red", aged: "red", voided: "amber", "no-card": "amber" }[a.state] ?? "red";
  show(light, "till-" + a.state, { pass: a.state === "completed", balance: a.balance, amount: a.amount, reason: "" });
  el("big").textContent = a.state === "completed" || a.state === "unknown" ? a.amount ?? "" : "";
  el("why").textContent = a.state === "completed" ? a.tap ?? "" : [word(first, a.outcome), a.reason].filter(Boolean).join(" · ");
  // Only an outcome that is known lets go of the sale's name.
  if (a.state !== "unknown") { keep(null); fen = 0; }
  draw();
}

function trouble(text) {
  show("red", "till-error", { reason: "" });
  el("why").textContent = text;
  el("big").textContent = "";
}

async function ask(path, options) {
  asking = true;
  draw();
  try {
    const r = await fetch(path, { cache: "no-store", ...options });
    const body = await r.json();
    if (r.ok) { answer(body); return; }
    if (body.code === "unknown-request") { answer({ state: "no-card", outcome: "", reason: body.title }); return; }
    if (r.status === 422 || r.status === 400) keep(null); // it was never begun, and never will be so
    trouble(body.detail || body.title);
  } catch (e) {
    trouble(String(e)); // the name is kept: ask what became of it
  } finally {
    asking = false;
    draw();
  }
}

function sell() {
  if (!sale) keep({ request: name(), amount: money() });
  show("card", "waiting");
  el("big").textContent = sale.amount;
  el("why").textContent = "";
  ask("/v1/sales", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...sale, lane }) });
}

document.addEventListener("started", () => {
  for (const k of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "C", "0", "<"]) {
    const b = document.createElement("button");
    b.textContent = k === "<" ? "⌫" : k;
    b.type = "button";
    b.dataset.key = k;
    b.addEventListener("click", () => press(k));
    el("pad").append(b);
  }
  el("sell").addEventListener("click", sell);
  el("ask").addEventListener("click", () => ask("/v1/sales/" + encodeURIComponent(sale.request), {}));
  // A rider who has gone must not stop the shop. The terminal keeps the sale open: whenever that card comes back here, it is settled first.
  el("leave").addEventListener("click", () => { keep(null); fen = 0; el("why").textContent = ""; onRest(); });
  document.addEventListener("keydown", (e) => {
    if (/^[0-9]$/.test(e.key)) press(e.key);
    else if (e.key === "Backspace") press("<");
    else if (e.key === "Escape") press("C");
    else if (e.key === "Enter" && document.activeElement.tagName !== "BUTTON" && !el("sell").disabled) sell();
  });
  const idle = onRest;
  onRest = () => { if (!asking) { idle(); el("big").textContent = ""; if (sale) { show("amber", "till-unknown", { reason: "" }); el("big").textContent = sale.amount; } } draw(); };
  onCard = () => { if (asking) show("card", "hold"); };
  onOutcome = (e) => { if (asking) { show(e.light, e.outcome, { ...e, balance: "", amount: "" }); beep(e); } };
  draw();
});
