// Puts the fragments that the server sends into their places. The page is whole without it.
"use strict";
(() => {
  const quiet = 40000; // ms without a word, heartbeats included, after which the stream counts as dead
  const again = 10000; // ms until a stream that the browser has given up is opened anew

  const link = document.getElementById("link");
  const lang = document.body.dataset.lang;
  let source;
  let first; // the first set repeats what the page shows already
  let watch;

  const show = (up) => {
    link.hidden = false;
    link.textContent = up ? link.dataset.live : link.dataset.lost;
    link.className = up ? "link on" : "link off";
  };

  const reopen = () => { source.close(); show(false); open(); };

  const heard = () => {
    show(true);
    clearTimeout(watch);
    watch = setTimeout(reopen, quiet);
  };

  const fragment = (event) => {
    heard();
    const { id, html } = JSON.parse(event.data);
    const place = document.getElementById(id);
    if (!place) return;
    const before = new Set([...place.querySelectorAll("tbody tr")].map((row) => row.outerHTML));
    place.innerHTML = html; // rendered and escaped by our own server
    if (first) return;
    for (const row of place.querySelectorAll("tbody tr")) {
      if (!before.has(row.outerHTML)) row.classList.add("fresh");
    }
  };

  const open = () => {
    first = true;
    source = new EventSource("events?lang=" + encodeURIComponent(lang));
    source.onopen = heard;
    source.onerror = () => {
      show(false);
      first = true;
      clearTimeout(watch);
      // The browser tries again by itself, but not after an answer that is no stream, such as "too many open pages".
      if (source.readyState === EventSource.CLOSED) watch = setTimeout(reopen, again);
    };
    source.addEventListener("fragment", fragment);
    source.addEventListener("whole", () => { heard(); first = false; });
    source.addEventListener("beat", heard);
  };
  open();
})();
