// Brings what is live on a page up to date, unless nobody looks or somebody is in it. Makes Tab
// stop at a wide table only where it scrolls.
"use strict";
(() => {
  const EVERY = 5000;
  const stops = () => {
    for (const wide of document.querySelectorAll(".wide")) {
      if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
      else if (wide !== document.activeElement) wide.removeAttribute("tabindex");
    }
  };
  const refresh = async () => {
    const live = [...document.querySelectorAll("[data-live]")];
    if (document.hidden || live.length === 0) return;
    if (live.some((one) => one.contains(document.activeElement))) return;
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = [...page.querySelectorAll("[data-live]")];
    if (fresh.length !== live.length) return;
    if (live.some((one) => one.contains(document.activeElement))) return;
    live.forEach((one, place) => one.replaceChildren(...fresh[place].childNodes));
    stops();
  };
  stops();
  addEventListener("resize", stops);
  setInterval(() => refresh().catch(() => {}), EVERY);
})();
