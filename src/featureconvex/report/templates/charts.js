/** What the pages' scripts share: colours of the style sheet, layouts, numbers, rows of choices. */
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

  function drawChart(chart) {
    const layout = merged(baseLayout(), chart.layout);
    if (chart.log_range) layout.xaxis.range = chart.log_range;
    if (chart.traces.length === 1) layout.hovermode = "closest";
    Plotly.react($("plot-" + chart.id), themed(chart.traces), themed(layout), CONFIG);
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

  /** Say so where a table goes on beyond its box. */
  function hints() {
    for (const box of document.querySelectorAll(".scroll")) {
      const hint = box.previousElementSibling;
      if (hint?.classList.contains("hint")) hint.hidden = box.scrollWidth <= box.clientWidth + 1;
    }
  }

  return { $, CONFIG, baseLayout, choices, colour, drawChart, hints, merged, percent, short, themed };
})();
