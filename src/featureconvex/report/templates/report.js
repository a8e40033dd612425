(function () {
  "use strict";
  const { readout, charts } = JSON.parse(document.getElementById("report-data").textContent);
  const { $, choices, drawChart, hints, interval, percent, radiusReader, read, short } = Charts;
  const LEVEL_ORDER = ["closed-form", "domain", "tight", "sound"];
  const DASHES = ["solid", "dash", "dashdot", "dot"];
  const state = { ...readout.start, radius: 0 };
  const reader = radiusReader("plot-certified", state, showReading);

  const view = () => readout.views.find((v) => v.threat === state.threat && v.unit === state.unit);

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
    const points = x.map((r) => read(readout, level, r));
    const line = {
      type: "scatter", mode: mode(v), name: level.name, x,
      y: points.map((p) => p.share),
      text: points.map((p) => `${percent(p.share)} (${interval(p)})`),
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

  function drawCurve() {
    const v = view();
    const range = mode(v) === "markers" ? [-0.1 * v.top, 1.1 * v.top] : [0, v.top];
    reader.drawCurves(v.levels.flatMap((level) => levelTraces(v, level)),
      `${v.threat} radius (${v.unit_name})`, { xaxis: { range, hoverformat: ".4~g" } });
  }

  function levelTable(v) {
    const table = document.createElement("table");
    table.innerHTML = "<thead><tr><th>certificate</th><th>certified</th><th>95 % interval</th></tr></thead>";
    const body = table.createTBody();
    for (const level of v.levels) {
      const reading = read(readout, level, state.radius);
      const row = body.insertRow();
      if (level.key === state.level) row.className = "chosen";
      for (const text of [level.name, percent(reading.share), interval(reading)])
        row.insertCell().textContent = text;
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
    const reading = read(readout, v.levels.find((l) => l.key === state.level), state.radius);
    $("reading-accuracy").textContent = percent(reading.share);
    $("reading-text").textContent =
      `of the ${readout.n} ${readout.points} (${reading.k}) are ${readout.counted} for ` +
      `${v.threat} radius ${short(state.radius)}; 95 % interval ${interval(reading)}`;
    $("reading-levels").replaceChildren(...(v.levels.length > 1 ? [levelTable(v)] : []));
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
    reader.range(v.top, v.threat === "l0" ? 1 : v.counts ? v.top : v.top / 1000);
    reader.set(restart ? v.begin : state.radius);
    drawCurve();
    hints();
  }

  const threats = [...new Set(readout.views.map((v) => v.threat))];
  choices("threat-choice", "threat", threats.map((t) => ({ key: t, name: t })), state, () => show(true));

  function drawAll() {
    show(false);
    charts.forEach(drawChart);
  }
  state.radius = view().begin;
  drawAll();
  Charts.whenColoursChange(drawAll);
})();
