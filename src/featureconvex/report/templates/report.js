(function () {
  "use strict";
  const { readout, charts } = JSON.parse(document.getElementById("report-data").textContent);
  const { $, CONFIG, baseLayout, choices, colour, drawChart, hints, merged, percent, short, themed } = Charts;
  const LEVEL_ORDER = ["closed-form", "domain", "tight", "sound"];
  const DASHES = ["solid", "dash", "dashdot", "dot"];
  const state = { ...readout.start, radius: 0 };

  /* ---- the curve ---- */

  const view = () => readout.views.find((v) => v.threat === state.threat && v.unit === state.unit);

  /** How many of the increasing radii are at least r: exact, by bisection. */
  function count(level, r) {
    let low = 0, high = level.radii.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (level.radii[middle] >= r) high = middle; else low = middle + 1;
    }
    return level.radii.length - low + level.infinite;
  }

  function read(level, r) {
    const k = count(level, r);
    return { k, share: k / readout.n, low: readout.low[k], high: readout.high[k] };
  }

  function grid(v) {
    if (v.counts) {
      if (v.threat !== "l0") return [0, v.top];
      return Array.from({ length: v.top + 1 }, (_, i) => i);
    }
    return Array.from({ length: 401 }, (_, i) => (v.top * i) / 400);
  }

  /** A patch has one size, so its curve is two points: the detection rate, and the certified share. */
  const mode = (v) => (v.counts ? (v.threat === "l0" ? "lines+markers" : "markers") : "lines");

  function levelTraces(v, level) {
    const place = LEVEL_ORDER.indexOf(level.key) + 1;
    const chosen = level.key === state.level;
    const x = grid(v);
    const points = x.map((r) => read(level, r));
    const line = {
      type: "scatter", mode: mode(v), name: level.name, x,
      y: points.map((p) => p.share),
      text: points.map((p) => `${percent(p.share)} (${percent(p.low)} to ${percent(p.high)})`),
      hovertemplate: "%{text}",
      line: { color: "@c" + place, width: chosen ? 3 : 1.6, dash: DASHES[place - 1] },
      marker: { color: "@c" + place, size: v.threat === "l0" ? 5 : 11 },
    };
    if (!chosen) return [line];
    if (mode(v) === "markers") {
      line.error_y = {
        type: "data", symmetric: false, color: "@c" + place,
        array: points.map((p) => p.high - p.share), arrayminus: points.map((p) => p.share - p.low),
      };
      return [line];
    }
    const edge = {
      type: "scatter", mode: "lines", x, line: { width: 0 }, hoverinfo: "skip", showlegend: false,
    };
    return [
      { ...edge, y: points.map((p) => p.low) },
      { ...edge, y: points.map((p) => p.high), fill: "tonexty", fillcolor: "@band" + place },
      line,
    ];
  }

  function marker() {
    return [{
      type: "line", xref: "x", yref: "paper", x0: state.radius, x1: state.radius, y0: 0, y1: 1,
      line: { color: colour("faint"), width: 1.5, dash: "dot" },
    }];
  }

  function drawCurve() {
    const v = view();
    const traces = v.levels.flatMap((level) => levelTraces(v, level));
    const layout = merged(baseLayout(), {
      xaxis: { title: { text: `${v.threat} radius (${v.unit_name})` }, range: mode(v) === "markers" ? [-0.1 * v.top, 1.1 * v.top] : [0, v.top], hoverformat: ".4~g" },
      yaxis: { title: { text: "certified accuracy" }, tickformat: ".0%", range: [0, 1.02] },
      showlegend: false, shapes: marker(),
    });
    return Plotly.react($("plot-certified"), themed(traces), themed(layout), CONFIG);
  }

  function levelTable(v) {
    const table = document.createElement("table");
    table.innerHTML = "<thead><tr><th>certificate</th><th>certified</th><th>95 % interval</th></tr></thead>";
    const body = table.createTBody();
    for (const level of v.levels) {
      const reading = read(level, state.radius);
      const row = body.insertRow();
      if (level.key === state.level) row.className = "chosen";
      const texts = [level.name, percent(reading.share), `${percent(reading.low)} to ${percent(reading.high)}`];
      for (const text of texts) row.insertCell().textContent = text;
      const place = LEVEL_ORDER.indexOf(level.key);
      const swatch = document.createElement("span");
      swatch.className = "swatch " + DASHES[place];
      swatch.style.borderTopColor = `var(--c${place + 1})`;
      row.cells[0].prepend(swatch);
    }
    return table;
  }

  function showReading() {
    const v = view();
    const level = v.levels.find((l) => l.key === state.level);
    const reading = read(level, state.radius);
    $("reading-accuracy").textContent = percent(reading.share);
    $("reading-text").textContent =
      `of the ${readout.n} sensitive samples (${reading.k}) are flagged and certified for ` +
      `${v.threat} radius ${short(state.radius)}; 95 % interval ${percent(reading.low)} to ${percent(reading.high)}`;
    $("reading-levels").replaceChildren(...(v.levels.length > 1 ? [levelTable(v)] : []));
  }

  function setRadius(radius, source) {
    const v = view();
    state.radius = radius;
    if (source !== "number") $("radius-value").value = Number(radius.toPrecision(6));
    if (source !== "slider") $("radius-slider").value = radius;
    showReading();
  }

  function moveMarker() {
    Plotly.relayout($("plot-certified"), { shapes: marker() });
  }

  /** Redraw everything that depends on the choice; start at the view's own radius if asked. */
  function show(restart) {
    const units = readout.units.filter((u) =>
      readout.views.some((v) => v.threat === state.threat && v.unit === u.key));
    if (!units.some((u) => u.key === state.unit)) state.unit = units[0].key;
    const v = view();
    if (!v.levels.some((l) => l.key === state.level)) state.level = v.levels[0].key;
    const focused = document.activeElement?.name;
    choices("unit-choice", "unit", units, state, () => show(true));
    choices("level-choice", "level", v.levels, state, () => show(false));
    if (focused) document.querySelector(`input[name="${focused}"]:checked`)?.focus();
    $("radius-slider").max = v.top;
    $("radius-slider").step = v.threat === "l0" ? 1 : v.counts ? v.top : v.top / 1000;
    setRadius(restart ? v.begin : state.radius);
    drawCurve();
    hints();
  }

  const threats = [...new Set(readout.views.map((v) => v.threat))];
  const named = threats.map((t) => ({ key: t, name: t }));
  choices("threat-choice", "threat", named, state, () => show(true));
  $("radius-slider").addEventListener("input", (event) => {
    setRadius(Number(Number(event.target.value).toPrecision(6)), "slider");
    moveMarker();
  });
  $("radius-value").addEventListener("input", (event) => {
    const radius = Number(event.target.value);
    if (event.target.value === "" || !(radius >= 0)) return;
    setRadius(radius, "number");
    moveMarker();
  });

  function drawAll() {
    show(false);
    charts.forEach(drawChart);
  }
  state.radius = view().begin;
  drawAll();
  window.addEventListener("resize", hints);
  document.addEventListener("toggle", hints, true);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
