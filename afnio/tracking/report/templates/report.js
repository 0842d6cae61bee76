"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  const keep = (key, value) => {
    try {
      if (value === undefined) return localStorage.getItem(key);
      localStorage.setItem(key, value);
    } catch { /* no storage here: the choice lasts until the page is closed */ }
    return null;
  };
  const saved = keep("afnio-theme");
  if (saved === "dark" || saved === "light") root.dataset.theme = saved;
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme
      || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    keep("afnio-theme", root.dataset.theme);
  });

  const FIRST = 20;
  let all = false;
  const filter = () => {
    const form = document.getElementById("filters");
    if (!form) return;
    const kind = form.elements.kind.value;
    const find = (form.elements.find ? form.elements.find.value : "").toLowerCase();
    let fitting = 0;
    for (const row of document.querySelectorAll("#sample-table tbody tr")) {
      const fits = (!kind || row.dataset.kind === kind)
        && (!find || row.textContent.toLowerCase().includes(find));
      fitting += fits;
      row.hidden = !fits || (!all && fitting > FIRST);
    }
    const more = document.getElementById("more");
    more.hidden = all || fitting <= FIRST;
    more.textContent = `Show all ${fitting}`;
    document.getElementById("shown").textContent =
      kind || find ? `${fitting} found` : "";
  };
  filter();
  document.addEventListener("input", (event) => {
    if (event.target.closest && event.target.closest("#filters")) filter();
  });
  document.addEventListener("click", (event) => {
    if (event.target.id !== "more") return;
    all = true;
    filter();
  });
  document.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details.data, details.evidence"))
      each.open = each.classList.contains("evidence");
    all = true;
    filter();
  });
  root.afnioFilter = filter;
})();
