// <minitfm-lookup>: a soft dictionary. A few keys and one query in the plane; drag the query, and watch the scores, the
// weights and the average move. One module for two places: a custom element on a page, and the front end of a notebook's
// widget (the default export).
//
//     <minitfm-lookup><script type="application/json">{"entries": [{"name", "key": [x, y], "value"}, …],
//         "query": [x, y], "axes": ["east", "north"], "unit": "°C", "presets": [{"name", "query"}]}</script></minitfm-lookup>

const STYLE = `
:host { display: block; container-type: inline-size; margin: 1rem 0;
  color: var(--pst-color-text-base, var(--jp-content-font-color1, CanvasText));
  --muted: var(--pst-color-text-muted, var(--jp-content-font-color2, color-mix(in srgb, currentColor 75%, transparent)));
  --edge: var(--pst-color-border, var(--jp-border-color1, color-mix(in srgb, currentColor 25%, transparent)));
  --soft: color-mix(in srgb, currentColor 7%, transparent);
  --accent: var(--pst-color-primary, var(--jp-brand-color1, LinkText));
  font: 14px/1.4 var(--pst-font-family-base, var(--jp-ui-font-family, system-ui, sans-serif)); }
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
.panels { display: grid; grid-template-columns: minmax(0, 17rem) minmax(0, 1fr); gap: .75rem 1.5rem; align-items: center; }
@container (max-width: 620px) { .panels { grid-template-columns: minmax(0, 1fr); } }
svg { display: block; width: 100%; max-width: 22rem; margin: auto; cursor: crosshair; user-select: none; }
svg text { fill: currentColor; font: 13px/1 var(--pst-font-family-base, system-ui, sans-serif); }
svg .faint { stroke: var(--edge); fill: none; } svg .axis { fill: var(--muted); font-size: 12px; }
svg .key { stroke: var(--hue); fill: none; stroke-width: 3; } svg .dot { fill: var(--hue); } svg .name { font-weight: 600; }
svg .query { stroke: currentColor; stroke-width: 3; stroke-dasharray: 7 4; } svg .handle { fill: currentColor; }
svg .grip { fill: transparent; cursor: grab; touch-action: none; } /* a thumb finds it; elsewhere it scrolls the page */
svg .name.asked { paint-order: stroke; stroke: var(--pst-color-background, var(--jp-layout-color0, Canvas)); stroke-width: 4px; }
.controls { display: flex; flex-wrap: wrap; gap: .4rem 1.25rem; align-items: center; margin-top: .75rem; }
.slider { display: grid; grid-template-columns: auto 1fr 3rem; align-items: center; gap: .5rem; min-width: min(17rem, 100%); }
label, th, .said { color: var(--muted); font-weight: 400; }
input[type=range] { width: 100%; height: 24px; margin: 0; accent-color: var(--accent); cursor: pointer; }
.at, td { font-variant-numeric: tabular-nums; }
button { min-height: 30px; padding: 0 .6rem; border: 1px solid var(--edge); border-radius: 6px; background: transparent;
  color: inherit; font: inherit; cursor: pointer; }
button:hover { background: var(--soft); }
:is(button, input):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; max-width: 34rem; margin: 0; }
th, td { padding: .3rem .35rem; text-align: right; border-bottom: 1px solid var(--edge); white-space: nowrap; }
th { font-size: 13px; } th:first-child { text-align: left; } tbody th { color: inherit; font-weight: 600; font-size: inherit; }
tbody th::before { content: ""; display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .4rem;
  background: var(--hue); }
.bar { display: inline-block; vertical-align: middle; width: 2.6rem; height: .8rem; margin-left: .4rem; border-radius: 2px;
  background: linear-gradient(to right, var(--hue) var(--share), var(--soft) var(--share)); }
@container (max-width: 440px) { .bar { width: 2.2rem; } th, td { padding: .3rem .2rem; font-size: 13px; } }
.answer { margin: .75rem 0 .5rem; } .answer b { font-size: 20px; font-variant-numeric: tabular-nums; }
.scale { position: relative; height: 46px; margin: .25rem 1rem 0; max-width: 32rem; border-top: 2px solid var(--edge); }
.scale span { position: absolute; top: -7px; transform: translateX(-50%); text-align: center; font-size: 12px; white-space: nowrap; }
.scale span::before { content: ""; display: block; width: 12px; height: 12px; border-radius: 50%; margin: 0 auto 4px; background: var(--hue); }
.scale .mean::before { border-radius: 0; transform: rotate(45deg); background: currentColor; }
.scale .mean { top: -8px; height: 14px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media print { .controls, .said { display: none; } }
`;

const HUES = ["#2b7bba", "#c0562a", "#12806a", "#8a5fb5"]; // as on the welcome page; dark and light pages carry them
const SIZE = 320; // the picture's side
const REACH = 4; // how far a query may go, in each direction

// ---- The arithmetic: equation 1 for one query ------------------------------------------------------------------

/** Scores, weights and the average of one query; what the picture and the table show. */
export function look({ entries, query }) {
  const scores = entries.map(({ key }) => key.reduce((sum, number, i) => sum + number * query[i], 0));
  const scaled = scores.map((score) => score / Math.sqrt(query.length));
  const largest = Math.max(...scaled);
  const parts = scaled.map((score) => Math.exp(score - largest));
  const total = parts.reduce((sum, part) => sum + part, 0);
  const weights = parts.map((part) => part / total);
  return { scores, scaled, weights, average: weights.reduce((sum, weight, i) => sum + weight * entries[i].value, 0) };
}

// ---- Small tools -----------------------------------------------------------------------------------------------

const number = (value, digits) => (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits).replace("-", "−");

/** An element with properties (attributes, where it has no such property) and children. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

// ---- The element -----------------------------------------------------------------------------------------------

class LookupElement extends (globalThis.HTMLElement ?? Object) {
  #data = null;
  #parts = {};
  #speak = 0;

  /** What is shown; {entries, query, axes, unit, presets}. */
  get data() {
    return this.#data;
  }

  set data(data) {
    this.#data = { presets: [], axes: ["x", "y"], unit: "", ...data };
    if (this.shadowRoot) this.#build();
  }

  get query() {
    return this.#data.query;
  }

  set query(query) {
    if (query.every((value, i) => value === this.query[i])) return;
    this.#data.query = [...query];
    this.#show();
  }

  connectedCallback() {
    if (this.shadowRoot) return;
    const inside = this.querySelector(':scope > script[type="application/json"]');
    if (inside) this.data = JSON.parse(inside.textContent);
    this.replaceChildren();
    this.attachShadow({ mode: "open" });
    if (this.#data) this.#build();
  }

  // ---- Building ----

  #build() {
    const { entries, axes, presets } = this.#data;
    const sliders = axes.map((axis, i) => {
      const slider = make("input", { type: "range", min: -REACH, max: REACH, step: 0.1, id: `axis-${i}` });
      slider.addEventListener("input", () => this.#move(this.query.map((value, j) => (i === j ? Number(slider.value) : value))));
      return slider;
    });
    const outputs = axes.map(() => make("span", { className: "at" }));
    const buttons = presets.map(({ name, query }) => {
      const button = make("button", { type: "button" }, name);
      button.addEventListener("click", () => this.#move(query));
      return button;
    });
    const rows = entries.map((entry, i) => {
      const row = make("tr", {}, make("th", { scope: "row" }, entry.name), ...Array.from({ length: 4 }, () => make("td")));
      row.style.setProperty("--hue", HUES[i % HUES.length]);
      row.lastChild.textContent = number(entry.value, 0);
      return row;
    });
    const heads = ["key", "q·k", "÷ √d_k", "weight", "value"];
    const table = make("table", {},
      make("thead", {}, make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...rows));
    const answer = make("p", { className: "answer" });
    const mean = make("span", { className: "mean" });
    const scale = make("div", { className: "scale", ariaHidden: "true" }, ...entries.map((entry, i) => {
      const mark = make("span", {}, `${number(entry.value, 0)}`);
      mark.style.setProperty("--hue", HUES[i % HUES.length]);
      mark.style.left = this.#along(entry.value);
      return mark;
    }), mean);
    const status = make("p", { className: "unseen", role: "status" });
    this.#parts = { sliders, outputs, rows, answer, mean, status, svg: this.#picture() };
    this.shadowRoot.replaceChildren(
      make("style", {}, STYLE),
      make("div", { className: "panels" }, make("div", {}, this.#parts.svg), make("div", {}, table, answer, scale)),
      make("div", { className: "controls" },
        ...sliders.map((slider, i) => make("div", { className: "slider" },
          make("label", { htmlFor: slider.id }, `query, ${axes[i]}`), slider, outputs[i])), ...buttons),
      status,
    );
    this.#show();
  }

  #picture() {
    const { entries, axes } = this.#data;
    const svg = draw("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img" });
    const middle = SIZE / 2;
    svg.append(draw("path", { class: "faint", d: `M0 ${middle}H${SIZE}M${middle} 0V${SIZE}` }));
    for (const radius of [1, 2, 3, 4])
      svg.append(draw("circle", { class: "faint", cx: middle, cy: middle, r: radius * this.#step, "stroke-opacity": 0.5 }));
    svg.append(draw("text", { class: "axis", x: SIZE - 3, y: middle + 17, "text-anchor": "end" }, `${axes[0]} →`));
    svg.append(draw("text", { class: "axis", x: middle + 6, y: 13 }, `↑ ${axes[1]}`));
    entries.forEach(({ name, key }, i) => {
      const [x, y] = this.#place(key);
      const style = `--hue: ${HUES[i % HUES.length]}`;
      svg.append(draw("path", { class: "key", style, d: `M${middle} ${middle}L${x} ${y}` }));
      svg.append(draw("circle", { class: "dot", style, cx: x, cy: y, r: 7 }));
      const side = key[0] < 0 ? -12 : 12;
      svg.append(draw("text", { class: "name", x: x + side, y: y + (key[1] < 0 ? 14 : -6), "text-anchor": key[0] < 0 ? "end" : "start" }, name));
    });
    svg.append(draw("path", { class: "query" }), draw("circle", { class: "handle", r: 10 }), draw("text", { class: "name asked" }, "query"),
      draw("circle", { class: "grip", r: 24 }));
    let dragging = false;
    const follow = (event) => {
      const box = svg.getBoundingClientRect();
      const to = [event.clientX - box.left, box.bottom - event.clientY].map((pixels) =>
        Math.round(10 * ((pixels / box.width) * SIZE - middle) / this.#step) / 10);
      this.#move(to.map((value) => Math.min(REACH, Math.max(-REACH, value)) || 0));
    };
    svg.addEventListener("pointerdown", (event) => {
      dragging = true;
      svg.setPointerCapture(event.pointerId);
      follow(event);
    });
    svg.addEventListener("pointermove", (event) => dragging && follow(event));
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (dragging = false));
    return svg;
  }

  get #step() {
    return SIZE / (2 * REACH + 0.6); // pixels for 1
  }

  #place([x, y]) {
    return [SIZE / 2 + x * this.#step, SIZE / 2 - y * this.#step];
  }

  #along(value) {
    const values = this.#data.entries.map((entry) => entry.value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return `${(100 * (value - low)) / (high - low || 1)}%`;
  }

  // ---- Showing ----

  #move(query) {
    this.query = query;
    this.dispatchEvent(new CustomEvent("query", { detail: this.query }));
    clearTimeout(this.#speak); // not at every pixel of a drag
    this.#speak = setTimeout(() => (this.#parts.status.textContent = this.#sentence()), 400);
  }

  #sentence() {
    const { entries, axes, query, unit } = this.#data;
    const { weights, average } = look(this.#data);
    const where = axes.map((axis, i) => `${axis} ${number(query[i], 1)}`).join(", ");
    const shares = entries.map(({ name }, i) => `${name} ${number(100 * weights[i], 0)} %`).join(", ");
    return `Query ${where}. Weights: ${shares}. Answer: ${number(average, 1)} ${unit}`.trim() + ".";
  }

  #show() {
    const { unit, query } = this.#data;
    const { scores, scaled, weights, average } = look(this.#data);
    const { sliders, outputs, rows, answer, mean, svg } = this.#parts;
    if (!svg) return;
    sliders.forEach((slider, i) => {
      slider.value = query[i];
      outputs[i].textContent = number(query[i], 1);
    });
    rows.forEach((row, i) => {
      const [, score, divided, weight] = row.children;
      score.textContent = number(scores[i], 2);
      divided.textContent = number(scaled[i], 2);
      const bar = make("span", { className: "bar" });
      bar.style.setProperty("--share", `${100 * weights[i]}%`);
      weight.replaceChildren(number(weights[i], 3), bar);
    });
    const sum = weights.map((weight, i) => `${number(weight, 2)} · ${number(this.#data.entries[i].value, 0)}`).join(" + ");
    answer.replaceChildren("average: ", make("b", {}, `${number(average, 1)} ${unit}`), make("br"), `= ${sum}`);
    mean.style.left = this.#along(average);
    const [x, y] = this.#place(query);
    svg.querySelector(".query").setAttribute("d", `M${SIZE / 2} ${SIZE / 2}L${x} ${y}`);
    for (const point of svg.querySelectorAll(".handle, .grip"))
      for (const [name, value] of [["cx", x], ["cy", y]]) point.setAttribute(name, value);
    const label = svg.querySelector(".asked");
    const left = x > 0.7 * SIZE;
    label.setAttribute("x", x + (left ? -15 : 15));
    label.setAttribute("y", Math.min(SIZE - 6, Math.max(12, y + 18)));
    label.setAttribute("text-anchor", left ? "end" : "start");
    svg.setAttribute("aria-label", `${this.#data.entries.length} keys and a query in the plane. ${this.#sentence()}`);
  }
}

if (globalThis.customElements && !customElements.get("minitfm-lookup")) customElements.define("minitfm-lookup", LookupElement);

// ---- The notebook's widget: traits `data` and `query` ------------------------------------------------------------

export default {
  render({ model, el }) {
    const view = make("minitfm-lookup");
    view.data = { ...model.get("data"), query: [...model.get("query")] };
    view.dataset.lmSuppressShortcuts = true; // else JupyterLab takes the arrow keys for its own commands
    view.addEventListener("query", ({ detail }) => {
      model.set("query", [...detail]);
      model.save_changes();
    });
    el.append(view);
    const takeQuery = () => (view.query = model.get("query"));
    model.on("change:query", takeQuery);
    return () => {
      model.off("change:query", takeQuery);
      view.remove();
    };
  },
};
