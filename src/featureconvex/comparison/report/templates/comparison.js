(function () {
  "use strict";
  const { readout } = JSON.parse(document.getElementById("report-data").textContent);
  const { $, choices, hints, interval, percent, radiusReader, read, short } = Charts;
  const PALETTE = 14, STEPS = 400;
  const SVG = "http://www.w3.org/2000/svg";
  const DASHES = { solid: "", dash: "7 4", dot: "1.5 3", dashdot: "7 3 1.5 3", longdash: "12 5" };
  const DASH_WORDS = {
    solid: "deterministic", dash: "probabilistic", dot: "deterministic, converted",
    dashdot: "probabilistic, converted", longdash: "empirical, nothing proved",
  };
  /* Outlines of plotly's markers around (0, 0), as points of a polygon; a circle has none. */
  const turned = (sides, start, radius = () => 5) => Array.from({ length: sides }, (_, i) => {
    const angle = start + (2 * Math.PI * i) / sides;
    return [radius(i) * Math.cos(angle), radius(i) * Math.sin(angle)];
  });
  const CROSS = [[-1.6, -4.6], [1.6, -4.6], [1.6, -1.6], [4.6, -1.6], [4.6, 1.6], [1.6, 1.6],
    [1.6, 4.6], [-1.6, 4.6], [-1.6, 1.6], [-4.6, 1.6], [-4.6, -1.6], [-1.6, -1.6]];
  const diagonal = ([x, y]) => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2];
  const SHAPES = {
    square: turned(4, Math.PI / 4), diamond: turned(4, 0), pentagon: turned(5, -Math.PI / 2),
    "triangle-up": turned(3, -Math.PI / 2), "triangle-down": turned(3, Math.PI / 2),
    "triangle-left": turned(3, Math.PI), "triangle-right": turned(3, 0),
    cross: CROSS, x: CROSS.map(diagonal),
    star: turned(10, -Math.PI / 2, (i) => (i % 2 ? 2.2 : 5.4)),
  };
  const state = { norm: readout.norms[0]?.key, group: "methods", radius: 0, off: new Set() };

  const norm = () => readout.norms.find((n) => n.key === state.norm);
  const lines = () => norm().lines[state.group];
  const name = (line) => line.name + (line.setting ? ", " + line.setting : "");

  function trace(line, place, all) {
    const x = [], y = [];
    for (let i = 0; i <= STEPS; i++) {
      x.push((norm().top * i) / STEPS);
      y.push(read(readout, line, x[i]).share);
      if (!y[i]) break;
    }
    const shade = "@m" + (line.slot % PALETTE);
    return {
      type: "scatter", mode: "lines+markers", name: name(line), x, y,
      visible: !state.off.has(line.name),
      text: y.map((share) => percent(share)),
      hovertemplate: `<b>${escaped(name(line))}</b><br>${state.norm} radius %{x:.4~g}: %{text}<extra></extra>`,
      line: { color: shade, width: line.strong ? 3.5 : 1.7, dash: line.dash },
      marker: {
        symbol: line.symbol, color: shade, size: 8, maxdisplayed: 7 + (place % 3),
        line: { width: 1.3, color: shade },
      },
      zorder: line.strong ? 100 : all.length - place,
    };
  }

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

  function drawCurves() {
    reader.drawCurves(lines().map(trace), `${state.norm} radius (${readout.unit})`,
      { xaxis: { range: [0, norm().top] }, hovermode: "closest" });
    const used = [...new Set(lines().map((line) => line.dash))];
    const entries = Object.keys(DASHES).filter((dash) => used.includes(dash))
      .map((dash) => keyEntry({ dash, slot: null }, DASH_WORDS[dash]));
    if (lines().some((line) => !line.symbol.endsWith("-open")))
      entries.push(keyEntry({ symbol: "circle", slot: null }, "filled: floating-point sound"));
    $("dash-key").replaceChildren(...entries);
  }

  function keyEntry(look, words) {
    const item = document.createElement("li");
    item.append(swatch(look), words);
    return item;
  }

  /** A short piece of the line as it is drawn, with its marker. */
  function swatch(line) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "-21 -8 42 16");
    svg.setAttribute("class", "line");
    svg.setAttribute("aria-hidden", "true");
    const stroke = line.slot === null ? "var(--faint)" : `var(--m${line.slot % PALETTE})`;
    const add = (tag, attributes) => {
      const part = document.createElementNS(SVG, tag);
      for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
      part.style.stroke = stroke;
      svg.append(part);
      return part;
    };
    if (line.dash)
      add("path", { d: "M-21 0H21", "stroke-width": line.strong ? 3.5 : 2, "stroke-dasharray": DASHES[line.dash] });
    if (line.symbol) {
      const open = line.symbol.endsWith("-open");
      const shape = SHAPES[line.symbol.replace("-open", "")];
      const part = shape
        ? add("polygon", { points: shape.map((p) => p.join(",")).join(" "), "stroke-width": 1.4 })
        : add("circle", { r: 4.4, "stroke-width": 1.4 });
      part.style.fill = open ? "var(--card)" : stroke;
    }
    return svg;
  }

  /* ---- the reading: one row per line, ordered by what is certified at the radius ---- */

  let rows = [];

  function makeRows() {
    const table = document.createElement("table");
    table.innerHTML = "<thead><tr><th scope=col>line</th><th scope=col>certified</th>" +
      "<th scope=col>95 % interval</th><th scope=col>clean accuracy</th><th scope=col>radii are</th></tr></thead>";
    const body = table.createTBody();
    rows = lines().map((line, place) => {
      const row = body.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), {
        type: "checkbox", checked: !state.off.has(line.name), title: "show this line",
      });
      box.addEventListener("change", () => {
        state.off[box.checked ? "delete" : "add"](line.name);
        row.classList.toggle("off", !box.checked);
        Plotly.restyle($("plot-curves"), { visible: box.checked }, [place]);
      });
      const words = document.createElement("span");
      words.textContent = line.points ? `${line.name} (first ${line.points} ${readout.points})` : line.name;
      if (line.setting) words.append(document.createElement("br"), small(line.setting));
      label.append(box, swatch(line), words);
      head.append(label);
      row.append(head);
      for (let i = 0; i < 4; i++) row.insertCell();
      row.cells[3].textContent = percent(line.clean);
      row.cells[4].textContent = line.kind;
      row.classList.toggle("strong", line.strong);
      row.classList.toggle("off", !box.checked);
      return { line, row, place };
    });
    $("reading").replaceChildren(table);
  }

  function small(text) {
    const element = document.createElement("small");
    element.textContent = text;
    return element;
  }

  function showReading() {
    for (const entry of rows) {
      const reading = read(readout, entry.line, state.radius);
      entry.share = reading.share;
      entry.row.cells[1].textContent = percent(reading.share);
      entry.row.cells[2].textContent = interval(reading);
    }
    const body = $("reading").querySelector("tbody");
    const wanted = [...rows].sort((a, b) => b.share - a.share || a.place - b.place);
    wanted.forEach((entry, i) => { if (body.rows[i] !== entry.row) body.insertBefore(entry.row, body.rows[i]); });
    $("reading-title").textContent =
      `Share of the ${readout.n} ${readout.points} ${readout.counted} for ${state.norm} radius ` +
      `${short(state.radius)}, the largest first`;
  }

  function show(restart) {
    reader.range(norm().top, norm().top / 1000);
    makeRows();
    reader.set(restart ? norm().begin : state.radius);
    drawCurves();
    hints();
  }

  if (!readout.norms.length) return;
  const reader = radiusReader("plot-curves", state, showReading);
  choices("norm-choice", "norm", readout.norms.map((n) => ({ key: n.key, name: n.key })), state, () => show(true));
  const select = $("group-choice");
  for (const group of readout.groups) select.add(new Option(group.name, group.key));
  select.addEventListener("change", () => { state.group = select.value; state.off.clear(); show(false); });
  show(true);
  Charts.whenColoursChange(drawCurves);
})();
