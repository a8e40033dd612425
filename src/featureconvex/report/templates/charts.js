/** What the pages' scripts share: colours of the style sheet, layouts, numbers, choices, and a curve to read off. */
const Charts = (function () {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const CONFIG = { responsive: true, displayModeBar: false };

  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  function themed(value) {
    if (typeof value === "string" && value.startsWith("@")) return colour(value.slice(1));
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
    return value;
  }

  function baseLayout() {
    const axis = {
      gridcolor: "@rule", zerolinecolor: "@rule", linecolor: "@rule",
      fixedrange: true, automargin: true, title: { standoff: 8 },
    };
    return {
      margin: { l: 48, r: 12, t: 12, b: 44 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: "@ink", size: 13 },
      dragmode: false, hovermode: "x unified",
      hoverlabel: { bgcolor: "@card", bordercolor: "@rule", font: { color: "@ink" } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
      xaxis: { ...axis }, yaxis: { ...axis },
    };
  }

  function merged(base, extra) {
    const result = { ...base };
    for (const [key, value] of Object.entries(extra))
      result[key] = value && typeof value === "object" && !Array.isArray(value) && base[key]
        ? merged(base[key], value) : value;
    return result;
  }

  const draw = (id, traces, layout) =>
    Plotly.react($(id), themed(traces), themed(merged(baseLayout(), layout)), CONFIG);

  function drawChart(chart) {
    const layout = merged({}, chart.layout);
    if (chart.log_range) layout.xaxis.range = chart.log_range;
    if (chart.traces.length === 1) layout.hovermode = "closest";
    draw("plot-" + chart.id, chart.traces, layout);
  }

  function percent(share) {
    if (share === 0 || share === 1) return 100 * share + "\u00a0%";
    return Math.min(Math.max(100 * share, 0.1), 99.9).toFixed(1) + "\u00a0%";
  }

  const short = (r) => String(Number(r.toPrecision(4)));

  /** A row of radio buttons for state[key]; hidden where there is nothing to choose. */
  function choices(id, key, options, state, changed) {
    const box = $(id);
    box.hidden = options.length < 2;
    box.querySelector(".choices")?.remove();
    const row = document.createElement("div");
    row.className = "choices";
    for (const option of options) {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), {
        type: "radio", name: key, value: option.key, checked: option.key === state[key],
      });
      const text = document.createElement("span");
      text.textContent = option.name;
      input.addEventListener("change", () => { state[key] = option.key; changed(); });
      label.append(input, text);
      row.append(label);
    }
    box.append(row);
  }

  /** Of all n points, or of the fewer that a line is about, those with a radius of at least r: exact, by bisection. */
  function read(readout, line, r) {
    let low = 0, high = line.radii.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (line.radii[middle] >= r) high = middle; else low = middle + 1;
    }
    const k = line.radii.length - low + line.infinite;
    const { n, low: lows, high: highs } = line.points ? readout.fewer[line.points] : readout;
    return { k, share: k / n, low: lows[k], high: highs[k] };
  }

  const interval = (reading) => `${percent(reading.low)} to ${percent(reading.high)}`;

  /** Plot, slider and number field of one radius: state.radius, at which showReading is called. */
  function radiusReader(plot, state, showReading) {
    const marker = () => [{
      type: "line", xref: "x", yref: "paper", x0: state.radius, x1: state.radius, y0: 0, y1: 1,
      line: { color: colour("faint"), width: 1.5, dash: "dot" },
    }];
    function set(radius, source) {
      state.radius = radius;
      if (source !== "number") $("radius-value").value = Number(radius.toPrecision(6));
      if (source !== "slider") $("radius-slider").value = radius;
      showReading();
      if (source) Plotly.relayout($(plot), { shapes: marker() });
    }
    $("radius-slider").addEventListener("input", (event) =>
      set(Number(Number(event.target.value).toPrecision(6)), "slider"));
    $("radius-value").addEventListener("input", (event) => {
      const radius = Number(event.target.value);
      if (event.target.value !== "" && radius >= 0) set(radius, "number");
    });
    return {
      set,
      range(top, step) { Object.assign($("radius-slider"), { max: top, step }); },
      drawCurves(traces, title, layout) {
        return draw(plot, traces, merged({
          xaxis: { title: { text: title } },
          yaxis: { title: { text: "certified accuracy" }, tickformat: ".0%", range: [0, 1.02] },
          showlegend: false, shapes: marker(),
        }, layout));
      },
    };
  }

  /** Say so where a table goes on beyond its box. */
  function hints() {
    for (const box of document.querySelectorAll(".scroll")) {
      const hint = box.previousElementSibling;
      if (hint?.classList.contains("hint")) hint.hidden = box.scrollWidth <= box.clientWidth + 1;
    }
  }
  window.addEventListener("resize", hints);
  document.addEventListener("toggle", hints, true);
  hints();

  /** Under every table a button that saves its cells as CSV. */
  function exports() {
    const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.nextElementSibling?.classList.contains("csv")) continue;
      const button = Object.assign(document.createElement("button"), {
        type: "button", className: "csv", textContent: "CSV", title: "save this table",
      });
      button.addEventListener("click", () => {
        const lines = [...box.querySelectorAll("tr")].map((row) =>
          [...row.cells].map((c) => cell(c.textContent.trim())).join(","));
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
        link.download = "table.csv";
        link.click();
        URL.revokeObjectURL(link.href);
      });
      box.after(button);
    }
  }
  exports();

  const whenColoursChange = (redraw) =>
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  return { $, choices, drawChart, hints, interval, percent, radiusReader, read, short, whenColoursChange };
})();
