// <minitfm-attention>: who attends to whom. All heads and layers at a glance, lines between tokens, a heat map, and a
// table of the same weights. Rows are queries and columns are keys, everywhere.
// One module for two places: a custom element on a page, and the front end of a notebook's widget (the default export).
//
//     <minitfm-attention><script type="application/json">{"views": [view, …], "start": selection}</script></minitfm-attention>
//
//     view       {name, label, caption, queries: [token], keys: [token], weights: [layer][head][query][key], writes?}
//                or, instead of the weights, {scores: [layer][head][query][key], masks: [{name, label, may: [query][key]}]}
//     selection  {view: name, layer, heads: [head], masks?: [name], focus?: {side: "query" or "key", index}}; layers and
//                heads from 0
//
// A row of weights that is shorter than the keys, or holds null, is a query that may not see the rest. `writes` holds,
// for each query, the token that it led the model to write. Scores become weights here, under the masks that the reader
// switches on: `may` is 1 where a query may look at a key.

// Eight hues that stay apart in the common forms of colour blindness, dark enough for light pages and the reverse.
const PALETTES = {
  light: {
    heads: ["#0072b2", "#c2410c", "#00805d", "#a8457f", "#806600", "#5b4fc4", "#7a4a2b", "#4b5563"],
    mean: "#3b4a5a",
    empty: "#f1f4f8",
    tint: 55, // percent of the hue behind a token of weight 1: its text must stay readable
  },
  dark: {
    heads: ["#56b4e9", "#ff9e4a", "#34d0a0", "#f09cc8", "#f0e442", "#a99cff", "#d3a27f", "#b8c0cc"],
    mean: "#d4dde6",
    empty: "#1d2530",
    tint: 33,
  },
};
const FAINTEST = 0.04; // lines lighter than this only blur the picture; the heat map and the table have them all
const CROWD = 48; // with more tokens than this, and none chosen, only the strong lines are drawn
const STRONG = 0.3;
const BUCKETS = 10; // all lines of one head and one tenth of weight are one path: 128 tokens stay fast
const ROW = 22; // pixels

const STYLE = `
:host { display: block; container-type: inline-size; margin: 1rem 0;
  color: var(--pst-color-text-base, var(--jp-content-font-color1, CanvasText));
  --muted: var(--pst-color-text-muted, var(--jp-content-font-color2, color-mix(in srgb, currentColor 75%, transparent)));
  --edge: var(--pst-color-border, var(--jp-border-color1, color-mix(in srgb, currentColor 25%, transparent)));
  --soft: color-mix(in srgb, currentColor 7%, transparent);
  font: 14px/1.4 var(--pst-font-family-base, var(--jp-ui-font-family, system-ui, sans-serif)); }
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; margin-bottom: .75rem; }
fieldset { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem; border: 0; margin: 0; padding: 0; min-width: 0; }
legend { float: left; padding: 0; margin-right: .4rem; color: var(--muted); }
.choice { position: relative; display: inline-flex; align-items: center; min-height: 30px; min-width: 30px;
  justify-content: center; padding: 0 .6rem; border: 1px solid var(--edge); border-radius: 6px; cursor: pointer; }
.choice:hover { background: var(--soft); }
.choice input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.choice:has(:checked) { border-color: var(--hue, currentColor); box-shadow: inset 0 0 0 1px var(--hue, currentColor); font-weight: 600; }
.choice:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.head::before { content: ""; width: .65rem; height: .65rem; border-radius: 50%; margin-right: .35rem; border: 2px solid var(--hue); }
.head:has(:checked)::before { background: var(--hue); }
.caption { margin: 0 0 .75rem; color: var(--muted); }
.glance { margin-bottom: 1rem; } .glance .said { margin: 0 0 .25rem; color: var(--muted); font-size: 12px; }
.glance .grid { display: grid; gap: 4px; justify-content: start; align-items: center; overflow-x: auto; padding: 3px; }
.glance .name { color: var(--muted); font-size: 12px; text-align: center; white-space: nowrap; }
.thumb { padding: 0; min-width: 24px; min-height: 24px; border: 1px solid var(--edge); border-radius: 3px; overflow: hidden;
  background: repeating-linear-gradient(135deg, transparent 0 3px, var(--edge) 3px 4px); cursor: pointer; display: grid; }
.thumb canvas { width: 100%; height: 100%; min-height: 22px; cursor: pointer; }
.thumb:hover { border-color: var(--hue); } .thumb[aria-pressed=true] { border-color: var(--hue); box-shadow: 0 0 0 2px var(--hue); }
.thumb:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
.panels { display: grid; grid-template-columns: minmax(15rem, 5fr) 7fr; gap: 1.25rem; align-items: start; }
@container (max-width: 600px) { .panels { grid-template-columns: minmax(0, 1fr); } }
.panel { min-width: 0; }
.title { line-height: 1.25; padding: 0 .45rem .35rem; } .title.query { text-align: right; } .title.key { grid-column: 3; }
.title b { display: block; } .title small { color: var(--muted); font-size: 12px; font-weight: 400; }
.axes { display: flex; justify-content: space-between; gap: 1rem; } .axes .title { padding-inline: 0; text-align: left; }
.axes .key { text-align: right; }
.lines { display: grid; grid-template-columns: fit-content(60%) minmax(3rem, 1fr) fit-content(40%); }
.links { grid-column: 1 / -1; display: grid; grid-template-columns: subgrid; align-items: start;
  max-height: 36rem; overflow-y: auto; overflow-x: hidden; padding: 2px 0; }
.links svg { width: 100%; display: block; }
path { fill: none; vector-effect: non-scaling-stroke; stroke: var(--hue); }
.column { display: grid; min-width: 0; padding: 0 2px; }
.token { display: flex; align-items: center; gap: .4rem; height: ${ROW}px; min-width: 2rem; max-width: 100%; padding: 0 .45rem;
  font: 13px/1 var(--pst-font-family-monospace, var(--jp-code-font-family, ui-monospace, monospace)); color: inherit;
  background: color-mix(in srgb, var(--accent) var(--tint, 0%), transparent); border: 1px solid transparent;
  border-radius: 4px; cursor: pointer; white-space: pre; }
.query.token { justify-content: flex-end; } .key.token { justify-content: flex-start; }
.token span { overflow: hidden; text-overflow: ellipsis; line-height: 1.5; }
.token small { flex: none; font-size: 11px; } .token .writes { color: var(--muted); font-weight: 400; margin-right: auto; }
.token.tinted .writes { color: inherit; } .token .weight:empty { display: none; }
.panels:has(> .scored) { grid-template-columns: minmax(20rem, 1fr) 1fr; }
@container (max-width: 660px) { .panels:has(> .scored) { grid-template-columns: minmax(0, 1fr); } }
.scored { grid-template-columns: auto minmax(1.25rem, 1fr) auto; }
.scored .token span { flex: none; max-width: 6rem; } .scored .token { gap: .2rem; }
.scored .weight, .scored .weight:empty { display: block; width: 4.3rem; text-align: right; }
.scored .query .weight { text-align: left; margin-right: auto; } .scored .key .weight { margin-left: auto; }
.token:hover, .token.on { border-color: var(--edge); background: var(--soft); }
.token.on { border-color: var(--accent); font-weight: 700; box-shadow: inset 0 0 0 1px var(--accent); }
.token:focus-visible, canvas:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.heat { display: grid; grid-template-columns: max-content max-content; font: 12px/1 var(--pst-font-family-monospace, ui-monospace, monospace); }
.names { display: grid; } .names.query { max-width: 7rem; } .names span { display: flex; align-items: center; white-space: pre; overflow: hidden; }
.names.key { grid-auto-flow: column; grid-auto-columns: var(--cell); max-height: 6rem; }
.names.key span { writing-mode: vertical-rl; justify-content: flex-end; padding-bottom: 3px; }
.names.key.short span { writing-mode: horizontal-tb; justify-content: center; align-items: flex-end; }
.names.query { grid-auto-rows: var(--cell); } .names.query span { justify-content: flex-end; padding-right: 5px; }
.names .on { color: var(--accent); font-weight: 700; }
.tiny .names { visibility: hidden; height: 0; width: 0; }
.map { position: relative; width: max-content; border: 1px solid var(--edge);
  background: repeating-linear-gradient(135deg, transparent 0 3px, var(--edge) 3px 4px); }
canvas { display: block; image-rendering: pixelated; cursor: crosshair; touch-action: manipulation; }
.ring { position: absolute; pointer-events: none; border: 2px solid currentColor; border-radius: 2px; }
.scale { display: flex; align-items: center; gap: .5rem; margin-top: .6rem; color: var(--muted); font-size: 12px; flex-wrap: wrap; }
.scale i { width: 7rem; height: .7rem; border: 1px solid var(--edge); border-radius: 2px; }
.scale i.hatch { width: 1.1rem; margin-left: .75rem; background: repeating-linear-gradient(135deg, transparent 0 3px, var(--edge) 3px 4px); }
.sentence { min-height: 2.8em; margin: .75rem 0 .25rem; padding: .5rem .75rem; border-left: 3px solid var(--accent); background: var(--soft); border-radius: 0 4px 4px 0; }
summary { cursor: pointer; color: var(--muted); width: max-content; } summary:focus-visible { outline: 2px solid var(--accent); }
.table { overflow: auto; max-height: 24rem; margin-top: .5rem; }
table { border-collapse: collapse; font-size: 12px; } td, th { border: 1px solid var(--edge); padding: 2px 5px; text-align: right; white-space: pre; }
@media print { .controls, .glance .said, details { display: none; } .links { max-height: none; } }
`;

// ---- Small tools -----------------------------------------------------------------------------------------------

/** A token as the reader sees it: a space is visible, <bos> does not look like text. */
export const visible = (token) => (token === " " ? "␣" : token.replace(/^<([a-z]+)>$/, "⟨$1⟩"));

const clamp = (number, low, high) => Math.min(high, Math.max(low, number));
const range = (length) => Array.from({ length }, (_, i) => i);
const percent = (weight) => `${Math.round(100 * weight)} %`;
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const depth = (weight) => weight ** 0.6; // small weights would vanish on a straight scale

/** The colour of a weight, between that of 0 and that of 1. */
const shade = (empty, full) => {
  const [from, to] = [channels(empty), channels(full)];
  return (weight) => from.map((channel, i) => Math.round(channel + depth(weight) * (to[i] - channel)));
};

/** Fill a canvas, one pixel a cell: a row for each query, a column for each key. The page enlarges them. */
function paintMap(canvas, rows, keys, colour) {
  canvas.width = keys;
  canvas.height = rows.length;
  const context = canvas.getContext("2d");
  const image = context.createImageData(keys, rows.length);
  rows.forEach((row, query) => row.forEach((weight, key) => {
    if (weight !== null) image.data.set([...colour(weight), 255], 4 * (query * keys + key));
  }));
  context.putImageData(image, 0, 0);
}

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

/** Average the weights of some heads. What a query may not see stays unseen: a row keeps its length, and null is null. */
export function meanOfHeads(layer, heads) {
  return layer[heads[0]].map((row, query) =>
    Array.from(row, (weight, key) =>
      weight === null ? null : heads.reduce((sum, head) => sum + layer[head][query][key], 0) / heads.length),
  );
}

/** The softmax of a query's scores over the keys that it may see; null for the others. */
export function softmax(scores, may) {
  const seen = scores.filter((_, key) => may[key]);
  const largest = Math.max(...seen);
  const total = seen.reduce((sum, score) => sum + Math.exp(score - largest), 0);
  return scores.map((score, key) => (may[key] ? Math.exp(score - largest) / total : null));
}

/** The weights that a view's scores lead to under some of its masks; weights that were given stay as they are. */
export function weightsUnder(view, names) {
  if (!view.scores) return view.weights;
  const masks = view.masks.filter(({ name }) => names.includes(name));
  return view.scores.map((layer) => layer.map((head) => head.map((scores, query) =>
    softmax(scores, scores.map((_, key) => masks.every(({ may }) => may[query][key]))),
  )));
}

/** The head that decides most clearly: on average, its largest weight is the largest. */
export function sharpestHead(layer) {
  const sharpness = layer.map((head) => head.reduce((sum, row) => sum + Math.max(...row), 0));
  return sharpness.indexOf(Math.max(...sharpness));
}

// ---- The element -----------------------------------------------------------------------------------------------

class AttentionElement extends (globalThis.HTMLElement ?? Object) {
  #data = null;
  #view = null; // which of data.views
  #layer = 0;
  #heads = [];
  #pinned = null; // the token that the reader chose, {side, index}
  #pointed = null; // the token under the pointer or the keyboard: it comes first, and goes when they leave
  #cell = null; // the cell of the heat map that was read last, [query, key]
  #masks = []; // the names of those that are switched on
  #weights = []; // [layer][head][query][key], under these masks
  #mean = [];
  #watching = [];

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).innerHTML = `<style>${STYLE}</style>
      <div class="controls"></div><p class="caption"></p>
      <div class="glance" role="group" aria-label="All heads and layers at a glance">
        <p class="said">All at a glance: queries are rows, keys are columns. Choose one to look closer.</p><div class="grid"></div></div>
      <div class="panels">
        <div class="panel lines" role="group" aria-label="Lines from queries to keys">
          <div class="title query"><b><small class="writing">writes ← </small>Query</b><small>who looks</small></div>
          <div class="title key"><b>Key</b><small>is looked at</small></div>
          <div class="links"><div class="column"></div><svg aria-hidden="true" preserveAspectRatio="none"></svg><div class="column"></div></div>
        </div>
        <div class="panel" role="group" aria-label="Heat map">
          <div class="axes"><div class="title"><b>Query ↓</b><small>one row each</small></div><div class="title key"><b>Key →</b><small>one column each</small></div></div>
          <div class="heat"><span></span><div class="names key" aria-hidden="true"></div><div class="names query" aria-hidden="true"></div>
            <div class="map"><canvas tabindex="0" role="img"></canvas><div class="ring" hidden></div></div></div>
          <div class="scale"><span>weight 0</span><i></i><span>1</span><i class="hatch"></i><span class="hatch">may not look</span></div>
          <p class="sentence" aria-live="polite"></p>
        </div>
      </div>
      <details><summary>The weights as a table</summary><div class="table" tabindex="0" role="region" aria-label="The weights as a table"></div></details>`;
    const map = this.#$(".map canvas");
    map.addEventListener("pointermove", (event) => this.#readCellAt(event));
    map.addEventListener("pointerdown", (event) => this.#readCellAt(event));
    map.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && this.#point(null)); // a tap stays
    map.addEventListener("keydown", (event) => this.#walkCells(event));
    map.addEventListener("blur", () => this.#point(null));
    this.#$("details").addEventListener("toggle", () => this.#paintTable());
  }

  connectedCallback() {
    const repaint = () => this.#data && (this.#paint(), this.#paintGlance());
    const theme = new MutationObserver(repaint); // the site's switch sets one attribute, JupyterLab's another
    for (const root of [document.documentElement, document.body]) theme.observe(root, { attributes: true });
    const size = new ResizeObserver(() => this.#data && this.#fitHeat());
    size.observe(this);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", repaint);
    this.#watching = [() => theme.disconnect(), () => size.disconnect(), () => system.removeEventListener("change", repaint)];
    const inline = this.querySelector('script[type="application/json"]');
    if (inline && !this.#data) this.data = JSON.parse(inline.textContent);
    else if (this.#data) this.#draw();
  }

  disconnectedCallback() {
    this.#watching.forEach((stop) => stop());
  }

  // ---- What others may read and set ----

  get data() {
    return this.#data;
  }

  set data(data) {
    const first = this.#data === null;
    this.#data = data;
    this.#choose(first ? (data.start ?? {}) : {});
  }

  get selection() {
    const masks = this.#view.masks ? { masks: [...this.#masks] } : {};
    return { view: this.#view.name, layer: this.#layer, heads: [...this.#heads], ...masks };
  }

  set selection(selection) {
    this.#choose(selection);
  }

  // ---- Choosing ----

  /** Take over what is given, keep the rest as far as it still exists, and draw. */
  #choose({ view = this.#view?.name, layer, heads = this.#heads, masks = this.#masks, focus }) {
    const before = this.#view?.name;
    const chosen = before && this.#pinned && this.#tokens(this.#pinned.side)[this.#pinned.index];
    this.#view = this.#data.views.find(({ name }) => name === view) ?? this.#data.views.at(-1);
    this.#masks = (this.#view.masks ?? []).map(({ name }) => name).filter((name) => masks.includes(name));
    const weights = (this.#weights = weightsUnder(this.#view, this.#masks));
    if (before !== this.#view.name) {
      this.#pointed = this.#cell = null;
      const { side, index } = this.#pinned ?? {}; // stays where the same token stands in the same place
      if (side && chosen !== this.#tokens(side)[index]) this.#pinned = null;
    }
    this.#layer = clamp(layer ?? (before ? this.#layer : weights.length - 1), 0, weights.length - 1);
    this.#heads = [...heads].filter((head) => head < weights[this.#layer].length).sort((a, b) => a - b);
    if (!this.#heads.length) this.#heads = [sharpestHead(weights[this.#layer])];
    if (focus !== undefined) this.#pinned = focus;
    if (this.#pinned && !this.#tokens(this.#pinned.side)[this.#pinned.index]) this.#pinned = null;
    this.#draw();
  }

  /** The reader chose something: draw it, and tell whoever listens. */
  #chosen(change) {
    this.#choose({ ...this.selection, ...change });
    this.dispatchEvent(new CustomEvent("selection", { detail: this.selection }));
  }

  #toggle(head) {
    const others = this.#heads.filter((other) => other !== head);
    const heads = others.length < this.#heads.length ? others : [...others, head];
    this.#chosen({ heads: heads.length ? heads : range(this.#weights[this.#layer].length) }); // never none
  }

  #pin(focus) {
    const same = this.#pinned?.side === focus?.side && this.#pinned?.index === focus?.index;
    this.#pinned = same ? null : focus;
    this.#pointed = null;
    this.#paint();
  }

  #point(focus, cell = null) {
    this.#pointed = focus;
    this.#cell = cell;
    this.#paint();
  }

  get #focus() {
    return this.#pointed ?? this.#pinned;
  }

  #tokens(side) {
    return side === "query" ? this.#view.queries : this.#view.keys;
  }

  // ---- Drawing ----

  #$(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  #draw() {
    if (!this.isConnected) return; // without a place there are no colours and no width; connecting draws
    const kept = this.shadowRoot.activeElement?.dataset?.name;
    this.#drawControls();
    this.#drawGlance();
    this.#drawColumns();
    this.#drawHeatNames();
    this.#fitHeat();
    if (kept) this.#$(`[data-name="${kept}"]`)?.focus({ preventScroll: true });
    this.#paint();
    this.#paintGlance();
  }

  #drawControls() {
    const radios = (legend, group, choices, current, choose) =>
      make("fieldset", { hidden: choices.length < 2 }, make("legend", {}, legend), ...choices.map(([value, label]) => {
        const input = make("input", { type: "radio", name: group, checked: value === current, onchange: () => choose(value) });
        input.dataset.name = `${group}-${value}`;
        return make("label", { className: "choice" }, input, label);
      }));
    const heads = range(this.#weights[this.#layer].length).map((head) => {
      const input = make("input", { type: "checkbox", checked: this.#heads.includes(head), onchange: () => this.#toggle(head) });
      input.dataset.name = `head-${head}`;
      input.setAttribute("aria-label", `head ${head + 1}`);
      const label = make("label", { className: "choice head" }, input, `${head + 1}`);
      label.style.setProperty("--hue", `var(--head-${head % 8})`);
      return label;
    });
    const all = make("button", { className: "choice", type: "button", onclick: () => this.#chosen({ heads: range(heads.length) }) }, "all");
    all.style.cssText = "font: inherit; color: inherit; background: none";
    all.dataset.name = "all-heads";
    const switches = (this.#view.masks ?? []).map(({ name, label }) => {
      const masks = this.#masks.includes(name) ? this.#masks.filter((other) => other !== name) : [...this.#masks, name];
      const input = make("input", { type: "checkbox", checked: this.#masks.includes(name), onchange: () => this.#chosen({ masks }) });
      input.dataset.name = `mask-${name}`;
      return make("label", { className: "choice" }, input, label);
    });
    this.#$(".controls").replaceChildren(
      radios("Attention", "view", this.#data.views.map(({ name, label }) => [name, label]), this.#view.name, (view) => this.#chosen({ view })),
      radios("Layer", "layer", range(this.#weights.length).map((layer) => [layer, `${layer + 1}`]), this.#layer, (layer) => this.#chosen({ layer })),
      make("fieldset", { hidden: heads.length < 2 }, make("legend", {}, "Heads"), ...heads, all),
      make("fieldset", { hidden: !switches.length }, make("legend", {}, "Masks"), ...switches),
    );
    this.#$(".caption").textContent = this.#view.caption ?? "";
    this.#$(".caption").hidden = !this.#view.caption;
  }

  /** A small map of every head in every layer; with a single one there is nothing to choose. */
  #drawGlance() {
    const weights = this.#weights;
    const count = Math.max(...weights.map((heads) => heads.length));
    const current = [this.#layer, this.#heads[0]];
    const name = (text) => make("span", { className: "name" }, text);
    const thumb = (layer) => (_, head) => {
      const button = make("button", {
        type: "button",
        className: "thumb",
        tabIndex: layer === current[0] && head === current[1] ? 0 : -1,
        onclick: () => this.#chosen({ layer, heads: [head] }),
        onkeydown: (event) => this.#walkGlance(event, layer, head),
      }, make("canvas", { "aria-hidden": "true" }));
      button.dataset.name = `glance-${layer}-${head}`;
      button.setAttribute("aria-label", `layer ${layer + 1}, head ${head + 1}`);
      button.setAttribute("aria-pressed", layer === this.#layer && this.#heads.includes(head));
      button.style.setProperty("--hue", `var(--head-${head % 8})`);
      button.style.gridColumn = head + 2;
      return button;
    };
    const grid = this.#$(".glance .grid");
    grid.style.gridTemplateColumns = `auto repeat(${count}, minmax(24px, 5rem))`;
    grid.replaceChildren(
      name(""), ...range(count).map((head) => name(count > 8 ? `${head + 1}` : `head ${head + 1}`)),
      ...weights.flatMap((heads, layer) => [name(weights.length > 1 ? `layer ${layer + 1}` : ""), ...heads.map(thumb(layer))]),
    );
    this.#$(".glance").hidden = weights.length * count < 2;
  }

  #drawColumns() {
    const { queries, keys, writes } = this.#view;
    const token = (side) => (text, index) => {
      const focus = { side, index };
      const name = make("span", {}, visible(text));
      const weight = make("small", { className: "weight" });
      const written = writes?.[index] !== undefined && side === "query" ? [make("small", { className: "writes" }, `${visible(writes[index])} ←`)] : [];
      const button = make("button", {
        type: "button",
        className: `${side} token`,
        tabIndex: index ? -1 : 0,
        title: visible(text).length > 8 ? text : "",
        onclick: () => this.#pin(focus),
        onfocus: () => button.matches(":focus-visible") && this.#point(focus),
        onblur: () => this.#point(null),
        onkeydown: (event) => this.#walkTokens(event, side, index),
        onpointerenter: (event) => event.pointerType === "mouse" && this.#point(focus),
        onpointerleave: (event) => event.pointerType === "mouse" && this.#point(null),
      }, ...(side === "query" ? [...written, weight, name] : [name, weight]));
      const purpose = written.length ? `, writes ${visible(writes[index])}` : "";
      button.setAttribute("aria-label", `${side} ${index + 1}: ${visible(text)}${purpose}`);
      button.dataset.name = `${side}-${index}`;
      return button;
    };
    this.#$(".writing").hidden = !writes;
    this.#$(".lines").classList.toggle("scored", Boolean(this.#view.scores)); // room for what appears on pointing
    const [left, right] = this.shadowRoot.querySelectorAll(".column");
    left.replaceChildren(...queries.map(token("query")));
    right.replaceChildren(...keys.map(token("key")));
    const height = ROW * Math.max(queries.length, keys.length);
    const svg = this.#$("svg");
    svg.setAttribute("viewBox", `0 0 100 ${height}`);
    svg.style.height = `${height}px`;
  }

  #drawHeatNames() {
    for (const side of ["query", "key"]) {
      const names = this.#$(`.names.${side}`);
      names.replaceChildren(...this.#tokens(side).map((text) => make("span", {}, visible(text))));
      names.classList.toggle("short", this.#tokens(side).every((text) => [...visible(text)].length === 1));
    }
  }

  /** Make the cells as large as the panel allows. */
  #fitHeat() {
    const { queries, keys } = this.#view;
    const heat = this.#$(".heat");
    heat.style.fontSize = "13px"; // measure the names as large as they may become
    heat.classList.remove("tiny");
    const room = heat.parentElement.clientWidth - 4;
    const besideNames = (room - this.#$(".names.query").offsetWidth) / keys.length;
    const labelled = besideNames >= 9;
    const cell = clamp(labelled ? besideNames : room / keys.length, 2, 32);
    heat.classList.toggle("tiny", !labelled);
    heat.style.setProperty("--cell", `${cell}px`);
    const canvas = this.#$(".map canvas");
    canvas.style.width = `${cell * keys.length}px`;
    canvas.style.height = `${cell * queries.length}px`;
    heat.style.fontSize = `${clamp(cell - 1, 8, 13)}px`;
    this.#paintRing();
  }

  // ---- Painting: all that changes while the pointer moves ----

  #paint() {
    const palette = this.#palette();
    const { queries, keys } = this.#view;
    this.#mean = meanOfHeads(this.#weights[this.#layer], this.#heads);
    const accent = this.#heads.length === 1 ? palette.heads[this.#heads[0] % 8] : palette.mean;
    palette.heads.forEach((hue, head) => this.style.setProperty(`--head-${head}`, hue));
    this.style.setProperty("--accent", accent);
    this.#paintLines();
    this.#paintTokens();
    this.#paintHeat(accent, palette.empty);
    this.#paintRing();
    this.#paintTable();
    this.#$(".sentence").textContent = this.#sentence();
    this.#$(".map canvas").setAttribute(
      "aria-label",
      `Heat map of ${queries.length} queries (rows) and ${keys.length} keys (columns), ${this.#which()}. The arrow keys read its cells; a table follows.`,
    );
  }

  /** Light text means a dark page, whoever set the colours. */
  #palette() {
    const [red, green, blue] = getComputedStyle(this).color.match(/[\d.]+/g).map(Number);
    return 0.3 * red + 0.6 * green + 0.1 * blue > 127 ? PALETTES.dark : PALETTES.light;
  }

  #paintLines() {
    const { queries, keys } = this.#view;
    const weights = this.#weights;
    const focus = this.#focus;
    const faintest = !focus && Math.max(queries.length, keys.length) > CROWD ? STRONG : FAINTEST;
    const svg = this.#$("svg");
    svg.replaceChildren();
    this.#heads.forEach((head, place) => {
      const aside = (place - (this.#heads.length - 1) / 2) * 1.5; // heads run side by side, not on top of each other
      const buckets = range(BUCKETS).map(() => "");
      weights[this.#layer][head].forEach((row, query) => {
        if (focus?.side === "query" && focus.index !== query) return;
        row.forEach((weight, key) => {
          if (weight < faintest || (focus?.side === "key" && focus.index !== key)) return;
          const [from, to] = [ROW * (query + 0.5) + aside, ROW * (key + 0.5) + aside];
          buckets[Math.min(BUCKETS - 1, Math.floor(weight * BUCKETS))] += `M0 ${from}C45 ${from} 55 ${to} 100 ${to}`;
        });
      });
      buckets.forEach((lines, bucket) => {
        if (!lines) return;
        const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
        const strength = (bucket + 1) / BUCKETS;
        path.setAttribute("d", lines);
        path.setAttribute("opacity", 0.15 + 0.85 * strength);
        path.setAttribute("stroke-width", 0.75 + 2 * strength);
        path.style.setProperty("--hue", `var(--head-${head % 8})`);
        svg.append(path);
      });
    });
  }

  /** The chosen token is framed; those on the other side are tinted by their weight, which is written beside them. */
  #paintTokens() {
    const focus = this.#focus;
    for (const side of ["query", "key"]) {
      this.shadowRoot.querySelectorAll(`.${side}.token`).forEach((button, index) => {
        const here = focus?.side === side && focus.index === index;
        const weight = focus && focus.side !== side ? this.#weightBetween(side, index) : 0;
        button.classList.toggle("on", here);
        button.classList.toggle("tinted", weight > 0);
        button.setAttribute("aria-pressed", this.#pinned?.side === side && this.#pinned.index === index);
        button.style.setProperty("--tint", `${Math.round(this.#palette().tint * depth(weight))}%`);
        const beside = focus && focus.side !== side ? this.#saysBeside(side, index, weight) : "";
        button.querySelector(".weight").textContent = beside;
      });
    }
  }

  /** The weight between the token in focus and one on the other side. */
  #weightBetween(side, index) {
    const { index: focused } = this.#focus;
    return (side === "key" ? this.#mean[focused][index] : this.#mean[index][focused]) ?? 0;
  }

  /** The score between a query and a key, the mean of the chosen heads. */
  #scoreBetween(query, key) {
    const layer = this.#view.scores[this.#layer];
    return this.#heads.reduce((sum, head) => sum + layer[head][query][key], 0) / this.#heads.length;
  }

  /** What is written beside a token: its weight, after the score that led to it where there is one. */
  #saysBeside(side, index, weight) {
    const { index: focused } = this.#focus;
    const [query, key] = side === "key" ? [focused, index] : [index, focused];
    const short = weight.toFixed(2).replace("0.", ".");
    if (!this.#view.scores) return weight >= 0.05 ? short : "";
    return this.#mean[query][key] === null ? "hidden" : `${this.#scoreBetween(query, key).toFixed(1)} → ${short}`;
  }

  #paintHeat(accent, empty) {
    const { keys } = this.#view;
    const colour = shade(empty, accent);
    paintMap(this.#$(".map canvas"), this.#mean, keys.length, colour);
    const stops = [0, 0.05, 0.15, 0.3, 0.5, 0.75, 1].map((weight) => `rgb(${colour(weight)}) ${100 * weight}%`);
    this.#$(".scale i").style.background = `linear-gradient(90deg, ${stops})`;
    const all = this.#mean.every((row) => row.length === keys.length && !row.includes(null));
    this.shadowRoot.querySelectorAll(".hatch").forEach((part) => (part.hidden = all));
  }

  #paintGlance() {
    const palette = this.#palette();
    const { keys } = this.#view;
    this.#weights.forEach((heads, layer) => heads.forEach((rows, head) => {
      const canvas = this.#$(`[data-name="glance-${layer}-${head}"] canvas`);
      paintMap(canvas, rows, keys.length, shade(palette.empty, palette.heads[head % 8]));
    }));
  }

  /** A ring around the row, column or cell in focus. */
  #paintRing() {
    const { queries, keys } = this.#view;
    const [query, key] = this.#cell ?? [];
    const focus = this.#focus;
    const ring = this.#$(".ring");
    ring.hidden = !focus && !this.#cell;
    const place = (index, count) => (index === undefined ? [0, 100] : [(100 * index) / count, 100 / count]);
    const [top, height] = place(this.#cell ? query : focus?.side === "query" ? focus.index : undefined, queries.length);
    const [left, width] = place(this.#cell ? key : focus?.side === "key" ? focus.index : undefined, keys.length);
    ring.style.cssText = `top: ${top}%; height: ${height}%; left: ${left}%; width: ${width}%`;
    for (const side of ["query", "key"]) {
      const index = focus?.side === side ? focus.index : this.#cell?.[side === "query" ? 0 : 1];
      this.#$(`.names.${side}`).childNodes.forEach((name, i) => name.classList.toggle("on", i === index));
    }
  }

  #paintTable() {
    if (!this.#$("details").open) return;
    const { queries, keys } = this.#view;
    const head = make("tr", {}, make("td", {}, "query ↓ key →"), ...keys.map((key) => make("th", { scope: "col" }, visible(key))));
    const raw = (i, j) => (this.#view.scores ? [make("small", {}, `\nscore ${this.#scoreBetween(i, j).toFixed(2)}`)] : []);
    const rows = queries.map((query, i) => make("tr", {}, make("th", { scope: "row" }, visible(query)),
      ...keys.map((_, j) => make("td", {}, this.#mean[i][j]?.toFixed(2) ?? (this.#view.scores ? "–" : ""), ...raw(i, j)))));
    this.#$(".table").replaceChildren(make("table", {}, make("caption", {}, this.#which() + (this.#view.scores ? "; each weight, and the score that led to it" : "")), head, ...rows));
  }

  // ---- Saying ----

  #which() {
    const on = (this.#view.masks ?? []).filter(({ name }) => this.#masks.includes(name)).map(({ label }) => label.toLowerCase());
    const masks = this.#view.masks ? `, ${on.join(" and ") || "no"} mask` : "";
    const heads = this.#heads.map((head) => head + 1).join(", ");
    const count = this.#weights[this.#layer].length;
    const ofHeads = count < 2 ? "" : this.#heads.length === 1 ? `, head ${heads}` : `, mean of heads ${heads}`;
    const layer = this.#weights.length < 2 && count < 2 ? this.#view.label : `layer ${this.#layer + 1}`;
    return `${layer}${ofHeads}${masks}`;
  }

  #sentence() {
    const name = (side, index) => `“${visible(this.#tokens(side)[index])}” (${index + 1})`;
    if (this.#cell) {
      const [query, key] = this.#cell;
      const weight = this.#mean[query][key];
      const says = weight == null ? "may not look at" : `gives ${percent(weight)} of its attention to`;
      const score = this.#view.scores ? ` (score ${this.#scoreBetween(query, key).toFixed(2)})` : "";
      return `Query ${name("query", query)} ${says} key ${name("key", key)}${score}: ${this.#which()}.`;
    }
    const focus = this.#focus;
    if (!focus) return "Each query shares out its attention: its weights over the keys sum to 1. Point at a token or a cell, or walk with Tab and the arrow keys.";
    const other = focus.side === "query" ? "key" : "query";
    if (focus.side === "query" && this.#mean[focus.index].every((weight) => weight === null))
      return `Query ${name("query", focus.index)} may look at nothing and gets zeros: ${this.#which()}.`;
    if (focus.side === "query") {
      const seen = this.#mean[focus.index].filter((weight) => weight !== null);
      if (seen.length > 1 && Math.max(...seen) - Math.min(...seen) < 0.0005)
        return `Query ${name("query", focus.index)} looks at ${seen.length} keys all alike, ${percent(seen[0])} each: ${this.#which()}.`;
    }
    const largest = range(this.#tokens(other).length)
      .map((index) => [this.#weightBetween(other, index), index])
      .sort(([a, i], [b, j]) => b - a || i - j)
      .slice(0, 3)
      .filter(([weight]) => weight >= 0.005)
      .map(([weight, index]) => `${name(other, index)} ${percent(weight)}`);
    const verb = focus.side === "query" ? "looks mostly at the keys" : "is looked at most by the queries";
    return `${focus.side === "query" ? "Query" : "Key"} ${name(focus.side, focus.index)} ${largest.length ? `${verb} ${largest.join(", ")}` : "has no weight here"}: ${this.#which()}.`;
  }

  // ---- Keyboard and pointer ----

  #walkTokens(event, side, index) {
    const { queries, keys } = this.#view;
    const sides = { ArrowLeft: "query", ArrowRight: "key" };
    const moves = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: Infinity };
    if (event.key === "Escape") this.#pin(null);
    if (!(event.key in sides) && !(event.key in moves)) return;
    event.preventDefault();
    const to = sides[event.key] ?? side;
    const last = (to === "query" ? queries : keys).length - 1;
    const token = this.#$(`[data-name="${to}-${clamp(moves[event.key] ?? index, 0, last)}"]`);
    this.shadowRoot.querySelectorAll(`.${to}.token`).forEach((other) => (other.tabIndex = other === token ? 0 : -1));
    token.focus();
  }

  #walkGlance(event, layer, head) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const thumb = this.#$(`[data-name="glance-${layer + step[0]}-${head + step[1]}"]`);
    if (!thumb) return;
    this.shadowRoot.querySelectorAll(".thumb").forEach((other) => (other.tabIndex = other === thumb ? 0 : -1));
    thumb.focus();
  }

  #walkCells(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const { queries, keys } = this.#view;
    const [query, key] = this.#cell ? [this.#cell[0] + step[0], this.#cell[1] + step[1]] : [0, 0];
    this.#readCell(clamp(query, 0, queries.length - 1), clamp(key, 0, keys.length - 1));
  }

  #readCellAt(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const { queries, keys } = this.#view;
    const query = Math.floor(((event.clientY - box.top) / box.height) * queries.length);
    const key = Math.floor(((event.clientX - box.left) / box.width) * keys.length);
    this.#readCell(clamp(query, 0, queries.length - 1), clamp(key, 0, keys.length - 1));
  }

  #readCell(query, key) {
    if (this.#cell?.[0] === query && this.#cell[1] === key) return;
    this.#point({ side: "query", index: query }, [query, key]);
  }
}

if (globalThis.customElements && !customElements.get("minitfm-attention")) {
  customElements.define("minitfm-attention", AttentionElement);
}

// ---- The notebook's widget: traits `data` and `selection` --------------------------------------------------------

export default {
  render({ model, el }) {
    const view = document.createElement("minitfm-attention");
    view.dataset.lmSuppressShortcuts = true; // JupyterLab would take the arrow keys for its own
    const takeData = () => (view.data = model.get("data"));
    const takeSelection = () => Object.keys(model.get("selection")).length && (view.selection = model.get("selection"));
    view.addEventListener("selection", ({ detail }) => {
      model.set("selection", detail);
      model.save_changes();
    });
    takeData();
    takeSelection();
    el.append(view);
    model.on("change:data", takeData);
    model.on("change:selection", takeSelection);
    return () => {
      model.off("change:data", takeData);
      model.off("change:selection", takeSelection);
      view.remove();
    };
  },
};
