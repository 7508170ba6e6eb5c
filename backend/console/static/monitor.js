// Brings newer figures every ten seconds. The page is whole without it.
"use strict";
setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.pathname + location.search);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("figures").replaceChildren(...page.getElementById("figures").childNodes);
  } catch { /* the next one may come */ }
}, 10000);
