(() => {
  const root = document.documentElement;
  const note = document.getElementById("live-note");
  const main = () => document.getElementById("main");
  let ended = false;

  const swap = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const next = fresh.getElementById("main");
    if (!next) return;
    const open = [...main().querySelectorAll("details")].map((each) => each.open);
    next.querySelectorAll("details").forEach((each, number) => {
      if (open[number]) each.open = true;
    });
    const form = document.getElementById("filters");
    const kind = form && form.elements.kind.value;
    const find = form && form.elements.find && form.elements.find.value;
    main().replaceWith(document.adoptNode(next));
    document.querySelector("nav ul").replaceWith(
      document.adoptNode(fresh.querySelector("nav ul")));
    const after = document.getElementById("filters");
    if (after && kind) {
      const same = after.querySelector(`input[value="${kind}"]`);
      if (same) same.checked = true;
    }
    if (after && find) after.elements.find.value = find;
    root.afnioFilter();
  };

  const look = async () => {
    try {
      const text = await (await fetch("state", { cache: "no-store" })).text();
      const state = JSON.parse(text);
      const busy = main().contains(document.activeElement)
        && document.activeElement.matches("input[type=search]");
      if (text !== main().dataset.live && !busy)
        swap(await (await fetch(".", { cache: "no-store" })).text());
      ended = state.status !== "RUNNING";
      note.textContent = ended ? "The run has ended." : "Live view; it follows the run.";
    } catch {
      note.textContent = "The live view has stopped; this is how it last stood.";
    }
    setTimeout(look, ended ? 15000 : 2000);
  };
  setTimeout(look, 2000);
})();
