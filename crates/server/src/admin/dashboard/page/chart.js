// Charts, drawn as SVG. Colours come from the style sheet, by class.

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Adds the values of lists, place by place. */
export function sum(lists) {
  return lists[0].map((_, at) => lists.reduce((all, list) => all + list[at], 0));
}

/** The smallest of 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, … that is at least as large. */
export function niceAbove(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/**
 * Areas on top of each other. `layers` are lists of the same length, the lowest first; the newest
 * value is at the right edge, and there is room for `most` of them.
 */
function areas(layers, most, width, height, top) {
  const length = layers[0].values.length;
  const place = (at, value) => {
    const x = width - ((length - 1 - at) * width) / (most - 1);
    return `${x.toFixed(1)},${(height - (value / top) * height).toFixed(1)}`;
  };
  let below = layers[0].values.map(() => 0);
  return layers.map(({ name, values }, layer) => {
    const above = values.map((value, at) => below[at] + value);
    const upper = above.map((value, at) => place(at, value));
    const lower = below.map((value, at) => place(at, value)).reverse();
    below = above;
    if (values.every((value) => value === 0)) return { name, area: "", line: "" };
    // Where a layer above the lowest has nothing, its line would hide that of the lower one.
    const isDrawn = (at) => layer === 0 || values[at] > 0 || values[at - 1] > 0 || values[at + 1] > 0;
    const line = upper.map((point, at) => (isDrawn(at) ? `${at > 0 && isDrawn(at - 1) ? "L" : "M"}${point}` : ""));
    return { name, area: `M${upper.join("L")}L${lower.join("L")}Z`, line: line.join("") };
  });
}

/** A chart without axes, for a row of a table. */
export function sparkline(label) {
  const svg = shape("svg", { class: "spark", viewBox: "0 0 160 32", preserveAspectRatio: "none", role: "img" });
  const paths = new Map();
  const draw = (layers, most, text) => {
    const peak = Math.max(...sum(layers.map((layer) => layer.values)), 0);
    for (const { name, area, line } of areas(layers, most, 160, 31, peak || 1)) {
      if (!paths.has(name)) {
        paths.set(name, [shape("path", { class: `area ${name}` }), shape("path", { class: `line ${name}` })]);
        svg.append(...paths.get(name));
      }
      const [fill, stroke] = paths.get(name);
      fill.setAttribute("d", area);
      stroke.setAttribute("d", line);
    }
    svg.setAttribute("aria-label", `${label}: ${text}`);
  };
  return { svg, draw };
}

/** The large chart, with axes. `tell` is called with the place that a pointer is at, or nothing. */
export function largeChart(parent, tell) {
  const bottom = 20;
  const left = 44;
  const svg = shape("svg", { class: "large", role: "img" });
  const grid = shape("g", { class: "grid" });
  const plot = shape("g", {});
  const cursor = shape("line", { class: "cursor", visibility: "hidden" });
  svg.append(grid, plot, cursor);
  parent.append(svg);
  let drawn;

  const text = (x, y, anchor, content) => {
    const made = shape("text", { x, y, "text-anchor": anchor });
    made.textContent = content;
    return made;
  };

  const draw = () => {
    if (!drawn) return;
    const { layers, most, step, label, format } = drawn;
    const width = Math.max(200, parent.clientWidth);
    const height = Math.max(120, parent.clientHeight);
    const [inner, high] = [width - left - 4, height - bottom - 8];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-label", label);
    const top = niceAbove(Math.max(...sum(layers.map((layer) => layer.values)), 0));
    grid.replaceChildren();
    for (const share of [0, 0.5, 1]) {
      const y = 8 + high * (1 - share);
      grid.append(shape("line", { x1: left, x2: width - 4, y1: y, y2: y }));
      grid.append(text(left - 8, y + 4, "end", format(top * share)));
    }
    const minutes = Math.round((most * step) / 60);
    for (let minute = minutes; minute >= 0; minute -= width < 480 ? 5 : 2) {
      const x = left + inner * (1 - (minute * 60) / (most * step));
      const anchor = minute === 0 ? "end" : minute === minutes ? "start" : "middle";
      grid.append(text(x, height - 4, anchor, minute === 0 ? "now" : `${minute} min ago`));
    }
    plot.setAttribute("transform", `translate(${left} 8)`);
    plot.replaceChildren();
    for (const { name, area, line } of areas(layers, most, inner, high, top)) {
      plot.append(shape("path", { class: `area ${name}`, d: area }));
      plot.append(shape("path", { class: `line ${name}`, d: line }));
    }
    cursor.setAttribute("y1", 8);
    cursor.setAttribute("y2", 8 + high);
  };

  const point = (event) => {
    if (!drawn) return;
    const { layers, most } = drawn;
    const box = svg.getBoundingClientRect();
    const inner = box.width - left - 4;
    const back = Math.round(((box.right - 4 - event.clientX) / inner) * (most - 1));
    const at = layers[0].values.length - 1 - back;
    if (back < 0 || at < 0) return leave();
    const x = left + inner * (1 - back / (most - 1));
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    tell({ at, back });
  };
  const leave = () => {
    cursor.setAttribute("visibility", "hidden");
    tell();
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerleave", leave);
  new ResizeObserver(draw).observe(parent);
  return (next) => {
    drawn = next;
    draw();
  };
}
