"use strict";
// One terminal's page: what the event stream says is what is shown. Nothing here decides anything.
const query = new URLSearchParams(location.search);
const lane = Number(query.get("lane") ?? 0);
const shownFor = { green: 2500, amber: 5000, red: 4000 }; // ms; then the next rider's turn
const isTill = document.body.classList.contains("till");
const el = (id) => document.getElementById(id);
let texts = { zh: {}, en: {} };
let first = query.get("lang") ?? "zh";
let second = "";
let out = "";       // why the terminal does not sell; empty: it does
let linked = false; // the stream is open
let timer = 0;
let sound = null;

function word(lang, key) { return (texts[lang] && texts[lang][key]) || ""; }

function say(key) {
  el("text").textContent = word(first, key) || key;
  el("text2").textContent = second ? word(second, key) : "";
  document.body.classList.toggle("long", el("text").textContent.length > (first === "zh" ? 7 : 14));
}

function amount(id, value) {
  const box = el(id);
  if (!box) return;
  box.hidden = !value;
  if (!value) return;
  box.querySelector("dt").textContent = word(first, id);
  box.querySelector("dd").textContent = value;
}

function show(state, key, e) {
  clearTimeout(timer);
  document.body.dataset.state = state;
  say(key);
  amount("charged", e && e.pass && e.amount !== "0.00" ? e.amount : "");
  amount("balance", e && e.balance);
  el("money").hidden = !(e && e.pass && (e.balance || (e.amount && e.amount !== "0.00")));
  el("reason").textContent = (e && !e.pass && e.reason) || "";
}

// rest shows what is true while no card is there.
function rest() {
  if (!linked) show("off", "no-link", { reason: "" });
  else if (out) show("off", "out-of-service", { reason: out });
  else show("idle", "idle");
}

// beep makes the tones of an event, as its terminal's profile has them; a refusal is lower. The page itself never blinks: a flashing screen does some people harm. A page that nobody has touched may be silent until it is: a kiosk browser is
// started so that it need not be.
function beep(e) {
  const { on_ms, off_ms, beep_ms } = e.blink ?? { on_ms: 100, off_ms: 100, beep_ms: 100 };
  try {
    sound ??= new AudioContext();
    for (let i = 0; i < (e.beeps ?? 0); i++) {
      const tone = sound.createOscillator(), at = sound.currentTime + i * (on_ms + off_ms) / 1000;
      tone.frequency.value = e.light === "green" ? 1800 : e.light === "amber" ? 1100 : 500;
      tone.connect(sound.destination);
      tone.start(at);
      tone.stop(at + beep_ms / 1000);
    }
  } catch { /* no sound here */ }
}

function outcome(e) {
  show(e.light, e.outcome, e);
  beep(e);
  if (e.outcome !== "out-of-service") timer = setTimeout(rest, shownFor[e.light] ?? 3000);
}

async function status() {
  const answer = await fetch("/v1/status", { cache: "no-store" });
  if (!answer.ok) return;
  const health = await answer.json();
  out = health.in_use ? "" : health.reason || "-";
}

function watch() {
  const stream = new EventSource("/v1/events");
  const mine = (f) => (m) => { const e = JSON.parse(m.data); if (e.lane === lane || e.lane === -1) f(e); };
  stream.onopen = async () => { linked = true; try { await status(); } catch { /* the stream will tell */ } onRest(); };
  stream.onerror = () => { linked = false; rest(); if (stream.readyState === EventSource.CLOSED) { stream.close(); setTimeout(watch, 2000); } };
  stream.addEventListener("card", mine(() => onCard()));
  stream.addEventListener("outcome", mine((e) => onOutcome(e)));
  stream.addEventListener("out-of-service", mine((e) => { out = e.reason || "-"; rest(); }));
  stream.addEventListener("ready", mine(() => { out = ""; onRest(); }));
  stream.addEventListener("lost", async () => { try { await status(); } catch { return; } onRest(); });
}

// What the till does otherwise.
let onRest = rest;
let onCard = () => { if (!out) show("card", "hold"); };
let onOutcome = outcome;

function tick() { el("clock").textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false }); }

async function start() {
  texts = await (await fetch("/static/texts.json")).json();
  if (!texts[first]) first = Object.keys(texts)[0];
  second = query.get("second") ?? Object.keys(texts).find((l) => l !== first) ?? "";
  document.documentElement.lang = first;
  tick();
  setInterval(tick, 5000);
  rest();
  watch();
  document.dispatchEvent(new Event("started"));
}
// Not before the page's own script has said what it does otherwise: it may be slower to come than the texts.
document.addEventListener("DOMContentLoaded", start);
