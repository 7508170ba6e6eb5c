// The page shows the view it is sent and sends back what is touched. It knows no rule: which choices there are, the view says.
const $ = (id) => document.getElementById(id);
const words = await (await fetch("/static/texts.json")).json();
const wished = new URLSearchParams(location.search).get("lang");
const first = words.texts[wished] ? wished : words.language;
let language = first;
let view = null;
let shownAt = 0;
let touched = 0;
let heard = performance.now();
let lost = false;

const t = (key) => words.texts[language][key] ?? "";
const currencies = { CNY: "¥", USD: "$", EUR: "€", GBP: "£" };
const sum = (amount) => (currencies[view.currency] ?? (view.currency ? view.currency + " " : "")) + amount;

// What each state looks like: mood (colour), sign and step. A state that is not here is a notice.
const looks = {
  starting: ["", "wait", 0],
  idle: ["", "card", 1], reading: ["busy", "wait", 1],
  amount: ["", "", 2], way: ["", "", 3], ordering: ["busy", "wait", 3], qr: ["", "", 3], checking: ["busy", "wait", 3], closing: ["busy", "wait", 3],
  hold: ["hold", "card", 4], again: ["hold", "card", 4], loading: ["busy", "wait", 4], done: ["good", "good", 0],
  "qr-offline": ["note", "", 3], "wrong-card": ["note", "note", 4], "not-loaded": ["note", "note", 4], "paid-offline": ["note", "note", 4], "paid-no-reader": ["note", "note", 4],
  kept: ["hold", "card", 0], unsure: ["hold", "wait", 0], refunding: ["back", "back", 0], refunded: ["back", "back", 0], "refund-later": ["back", "back", 0], cancelled: ["back", "back", 0],
};

function fact(key, text, small) {
  const div = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
  dt.textContent = t(key);
  dd.textContent = text;
  dd.className = small ? "small" : "";
  div.append(dt, dd);
  $("facts").append(div);
}

function button(where, label, choice, more, second) {
  const b = document.createElement("button");
  b.type = "button";
  b.textContent = label;
  b.dataset.choice = choice;
  b.className = second ? "second" : "";
  b.addEventListener("click", () => say(choice, more));
  where.append(b);
}

async function say(choice, more) {
  touched = performance.now();
  for (const b of document.querySelectorAll("#options button, #choices button")) b.disabled = true;
  try {
    await fetch("/choice", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ seq: view.seq, choice, ...more }) });
  } catch {
    for (const b of document.querySelectorAll("button")) b.disabled = false;
  }
}

function draw() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : language;
  $("language").textContent = t("other-language");
  const state = lost ? "gone" : view.state;
  const [mood, sign, step] = lost ? ["note", "note", 0] : looks[state] ?? ["note", "note", 0];
  Object.assign(document.body.dataset, { state, mood, sign });
  [...$("steps").children].forEach((li, i) => {
    li.textContent = t("step." + (i + 1));
    li.className = step === i + 1 ? "on" : step > i + 1 ? "past" : "";
  });
  $("steps").style.visibility = step ? "visible" : "hidden";
  for (const id of ["facts", "options", "choices"]) $(id).replaceChildren();
  $("title").textContent = lost ? t("gone") : t("title." + state);
  $("text").textContent = lost ? t("gone-text") : t("text." + state);
  $("code").hidden = true;
  $("reason").hidden = true;
  $("money").hidden = lost;
  $("number").textContent = "";
  if (lost) return;

  const why = view.state === "done" && !view.told ? t("untold") : t("reason." + view.reason);
  $("reason").hidden = !why;
  $("reason").textContent = why;
  $("money").hidden = view.state === "idle" || view.state === "reading" || view.state === "amount" || view.state === "way" || view.state === "ordering";
  $("where").textContent = t("where") + (language === "zh" ? "：" : ":");
  $("place").textContent = t("money." + view.money);

  const card = view.card, way = t("way." + view.way) || view.way;
  if (view.state === "done") {
    if (view.amount) fact("amount", sum(view.amount));
    if (view.balance) fact("after", sum(view.balance));
    fact("card", card, true);
    if (way) fact("paid-by", way, true);
    fact("time", new Date(view.at).toLocaleString(language === "zh" ? "zh-CN" : "en-GB"), true);
  } else {
    if (view.balance && (view.state === "amount" || view.state === "full")) fact("balance", sum(view.balance));
    if (view.amount && !["idle", "reading", "amount"].includes(view.state)) fact("amount", sum(view.amount));
    if (card && !["idle", "reading"].includes(view.state)) fact("card", card, !["hold", "again", "kept", "wrong-card"].includes(view.state));
  }
  if (["kept", "unsure", "refund-later"].includes(view.state)) fact("payment", view.payment, true); // to be written down
  if (view.qr) {
    $("code").hidden = false;
    $("code").className = view.state === "qr" ? "" : "old";
    $("qr").src = view.qr;
    $("qr").alt = t("title.qr");
    $("code-way").textContent = way;
  }
  for (const a of view.amounts ?? []) button($("options"), sum(a), "amount-chosen", { amount: a });
  for (const w of view.ways ?? []) button($("options"), t("way." + w) || w, "way-chosen", { way: w });
  for (const c of view.choices) if (c !== "amount-chosen" && c !== "way-chosen") button($("choices"), t("choice." + c), c, {}, ["cancel", "back", "refund"].includes(c));
  if (view.state === "done") {
    const b = document.createElement("button");
    b.type = "button";
    b.className = "second";
    b.textContent = t("print");
    b.addEventListener("click", () => print());
    $("choices").append(b);
  }
  if (view.payment) $("number").textContent = t("payment") + (language === "zh" ? "：" : ": ") + view.payment;
  clock();
}

function clock() {
  const rest = view && view.seconds && !lost ? Math.max(0, view.seconds - (performance.now() - shownAt) / 1000) : 0;
  $("left").textContent = rest ? Math.ceil(rest) + " " + t("seconds") : "";
  $("bar").firstElementChild.style.width = rest ? (100 * rest) / view.seconds + "%" : "0";
  // Who comes next meets the kiosk in its own language.
  if (view?.state === "idle" && language !== first && performance.now() - Math.max(shownAt, touched) > 20000) {
    language = first;
    draw();
  }
  if (view && !lost && performance.now() - heard > 16000) {
    lost = true;
    draw();
  }
}

$("language").addEventListener("click", () => {
  touched = performance.now();
  language = language === "zh" ? "en" : "zh";
  draw();
});
addEventListener("contextmenu", (e) => e.preventDefault());

const stream = new EventSource("/view");
stream.addEventListener("beat", () => { heard = performance.now(); }); // a stream that was lost begins with the view
stream.addEventListener("message", (e) => {
  const next = JSON.parse(e.data);
  heard = performance.now();
  if (lost || !view || next.seq !== view.seq) {
    lost = false;
    view = next;
    shownAt = performance.now();
    draw();
  }
});
stream.addEventListener("error", () => {
  if (stream.readyState !== EventSource.CLOSED && performance.now() - heard < 3000) return;
  lost = true;
  if (view) draw();
});
setInterval(clock, 250);
