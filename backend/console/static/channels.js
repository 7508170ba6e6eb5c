// Brings newer figures every five seconds, unless a form is open. The page is whole without it.
"use strict";
setInterval(async () => {
  if (document.hidden || document.querySelector("details[open]")) return;
  try {
    const answer = await fetch(location.pathname.replace(/channels\/\w+$/, "channels") + location.search);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (document.querySelector("details[open]")) return;
    for (const id of ["channels", "incidents"]) document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
  } catch { /* the next one may come */ }
}, 5000);
