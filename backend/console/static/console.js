// Puts the fragments that the server sends into their places. The page is whole without it.
"use strict";
(() => {
  const link = document.getElementById("link");
  const lang = document.body.dataset.lang;
  let first = true; // the first set repeats what the page shows already

  const show = (up) => {
    link.hidden = false;
    link.textContent = up ? link.dataset.live : link.dataset.lost;
    link.className = up ? "link on" : "link off";
  };

  const source = new EventSource("/events?lang=" + encodeURIComponent(lang));
  source.onopen = () => show(true);
  source.onerror = () => { show(false); first = true; }; // the browser tries again by itself
  source.addEventListener("fragment", (event) => {
    const { id, html } = JSON.parse(event.data);
    const place = document.getElementById(id);
    if (!place) return;
    const before = new Set([...place.querySelectorAll("tbody tr")].map((row) => row.outerHTML));
    place.innerHTML = html; // rendered and escaped by our own server
    if (first) return;
    for (const row of place.querySelectorAll("tbody tr")) {
      if (!before.has(row.outerHTML)) row.classList.add("fresh");
    }
  });
  source.addEventListener("whole", () => { first = false; });
})();
