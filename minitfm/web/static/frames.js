// <minitfm-frames>: one figure out of many, chosen with a slider or with buttons.
// One module for two places: a custom element on a page, and the front end of a notebook's widget (the default export).
//
//     <minitfm-frames label="spectral radius" kind="numbers"><img data-name="0.5" alt="…" src="…"> …</minitfm-frames>
//
// The figures are the element's own images, so the page dresses them as its other figures. The one that is not hidden
// is shown first. `kind` is "numbers" or "texts"; with `typed` and a kernel (the property `draws`), the reader may also
// type a text: the event "typed" carries it away, and answer() brings its figure or a sentence back.

const STYLE = `
:host { display: block; margin: 1rem 0; color: var(--pst-color-text-base, var(--jp-content-font-color1, CanvasText));
  --muted: var(--pst-color-text-muted, var(--jp-content-font-color2, color-mix(in srgb, currentColor 75%, transparent)));
  --edge: var(--pst-color-border, var(--jp-border-color1, color-mix(in srgb, currentColor 25%, transparent)));
  --soft: color-mix(in srgb, currentColor 7%, transparent);
  --accent: var(--pst-color-primary, var(--jp-brand-color1, LinkText));
  font: 14px/1.4 var(--pst-font-family-base, var(--jp-ui-font-family, system-ui, sans-serif)); }
:host([hidden]), [hidden], ::slotted([hidden]) { display: none !important; }
* { box-sizing: border-box; }
::slotted(img) { display: block; max-width: 100%; height: auto; break-inside: avoid; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; margin-bottom: .75rem; }
.slider { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; max-width: 100%; }
input[type=range] { width: 20rem; max-width: 100%; height: 24px; margin: 0; accent-color: var(--accent); cursor: pointer; }
output { min-width: 3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
fieldset { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem; border: 0; margin: 0; padding: 0; min-width: 0; }
legend { float: left; padding: 0; margin-right: .4rem; }
legend, .name { color: var(--muted); }
.choice { position: relative; display: inline-flex; align-items: center; min-height: 30px; min-width: 30px;
  justify-content: center; padding: .2rem .6rem; border: 1px solid var(--edge); border-radius: 6px; cursor: pointer;
  overflow-wrap: anywhere; }
.choice:hover { background: var(--soft); }
.choice input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.choice:has(:checked) { border-color: currentColor; box-shadow: inset 0 0 0 1px currentColor; font-weight: 600; }
.choice:has(:focus-visible), :is(button, input):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
form { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem .6rem; }
input[type=text], button { min-height: 30px; padding: 0 .6rem; border: 1px solid var(--edge); border-radius: 6px;
  background: transparent; color: inherit; font: inherit; }
input[type=text] { width: 16rem; max-width: 100%; }
button { cursor: pointer; } button:hover { background: var(--soft); }
.note { flex-basis: 100%; margin: 0; color: var(--muted); }
.note:empty { display: none; }
.note.error { color: inherit; padding: .35rem .75rem; border-left: 3px solid currentColor; background: var(--soft); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media print { input[type=range], .choice:not(:has(:checked)), .controls:has(:checked) form, button, .note { display: none; } }
`;

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

/** A frame, {name, alt, src, width, height}, as an image. */
function image({ name, ...properties }, hidden = true) {
  const made = make("img", { ...properties, hidden });
  made.dataset.name = name;
  return made;
}

// ---- The element -----------------------------------------------------------------------------------------------

class FramesElement extends (globalThis.HTMLElement ?? Object) {
  #frames = []; // the images of the choices
  #own = null; // the image of what the reader typed
  #asked = null; // the text whose figure the reader waits for
  #controls = []; // the slider, or a button for each choice

  /** Whether there is a kernel that draws what the reader types. */
  draws = false;

  connectedCallback() {
    if (this.shadowRoot) return;
    this.#frames = [...this.querySelectorAll("img")];
    const first = this.#frames.findIndex((frame) => !frame.hidden);
    const label = this.getAttribute("label");
    const parts = [this.getAttribute("kind") === "numbers" ? this.#slider(label) : this.#buttons(label)];
    if (this.hasAttribute("typed")) parts.push(this.draws ? this.#form(label) : make("p", { className: "note" },
      `To type your own ${label}, run the notebook.`));
    this.attachShadow({ mode: "open" }).append(
      make("style", {}, STYLE),
      make("div", { className: "controls" }, ...parts),
      make("slot"),
      make("p", { className: "unseen", role: "status" }),
    );
    this.querySelectorAll(":scope > :not(img)").forEach((other) => other.remove()); // what stood in for the view
    this.#show(this.#frames[Math.max(0, first)]);
  }

  /** Which of the choices is shown; -1 where it is what the reader typed. */
  get index() {
    return this.#frames.findIndex((frame) => !frame.hidden);
  }

  set index(index) {
    if (index !== this.index && this.#frames[index]) this.#show(this.#frames[index]);
  }

  /** Take the figure of a typed text, or the sentence that says why there is none. */
  answer({ error, ...frame }) {
    if (frame.name !== this.#asked) return; // the reader has gone on, or it was asked for in another view
    this.#say(error ?? "", Boolean(error));
    this.#asked = null;
    if (error) return;
    this.#own?.remove();
    this.#own = image(frame);
    this.append(this.#own);
    this.#show(this.#own);
    this.#announce();
  }

  // ---- Building ----

  #slider(label) {
    const slider = make("input", { type: "range", id: "slider", min: 0, max: this.#frames.length - 1, step: 1 });
    slider.addEventListener("input", () => this.#choose(Number(slider.value)));
    this.#controls = [slider];
    return make("div", { className: "slider" },
      make("label", { className: "name", htmlFor: "slider" }, label), make("output", { htmlFor: "slider" }), slider);
  }

  #buttons(label) {
    this.#controls = this.#frames.map((frame, index) => {
      const button = make("input", { type: "radio", name: "choice" });
      button.addEventListener("change", () => this.#choose(index));
      return button;
    });
    const choices = this.#controls.map((button, index) =>
      make("label", { className: "choice" }, button, this.#frames[index].dataset.name));
    return make("fieldset", {}, make("legend", {}, label), ...choices);
  }

  #form(label) {
    const field = make("input", { type: "text", id: "field", autocomplete: "off", spellcheck: false });
    field.setAttribute("aria-describedby", "note");
    const form = make("form", {}, make("label", { className: "name", htmlFor: "field" }, `another ${label}`), field,
      make("button", {}, "Show"), make("p", { className: "note", id: "note", role: "status" }));
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault(); // JupyterLab cancels the line break that would send the form
      form.requestSubmit();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!field.value.trim()) return this.#say("Type something first.", true);
      this.#asked = field.value;
      this.#say("Drawing …");
      this.dispatchEvent(new CustomEvent("typed", { detail: field.value }));
    });
    return form;
  }

  // ---- Showing ----

  #choose(index) {
    this.#asked = null;
    this.#say("");
    this.#show(this.#frames[index]);
    this.#announce();
  }

  #show(frame) {
    for (const other of this.querySelectorAll("img")) other.hidden = other !== frame;
    const index = this.index;
    if (this.getAttribute("kind") === "numbers") {
      const [slider] = this.#controls;
      slider.value = index;
      slider.setAttribute("aria-valuetext", frame.dataset.name);
      this.shadowRoot.querySelector("output").textContent = frame.dataset.name;
    } else this.#controls.forEach((button, i) => (button.checked = i === index));
  }

  /** The reader moved: tell those who cannot see the new figure, and whoever keeps the choice. */
  #announce() {
    this.shadowRoot.querySelector(".unseen").textContent = this.querySelector("img:not([hidden])").alt;
    this.dispatchEvent(new CustomEvent("choice", { detail: this.index }));
  }

  #say(text, wrong = false) {
    const note = this.shadowRoot.querySelector("form .note");
    note?.classList.toggle("error", wrong);
    note?.replaceChildren(text);
  }
}

if (globalThis.customElements && !customElements.get("minitfm-frames")) customElements.define("minitfm-frames", FramesElement);

// ---- The notebook's widget: traits `frames`, `label`, `kind`, `typed` and `index` --------------------------------

export default {
  render({ model, el }) {
    const named = { label: model.get("label"), kind: model.get("kind") };
    const images = model.get("frames").map((frame, index) => image(frame, index !== model.get("index")));
    const view = make("minitfm-frames", named, ...images);
    view.toggleAttribute("typed", model.get("typed"));
    view.draws = true;
    view.dataset.lmSuppressShortcuts = true; // else JupyterLab takes the arrow keys and Enter for its own commands
    view.addEventListener("choice", ({ detail }) => {
      model.set("index", detail);
      model.save_changes();
    });
    view.addEventListener("typed", ({ detail }) => model.send({ text: detail }));
    el.append(view);
    const takeIndex = () => (view.index = model.get("index"));
    const takeAnswer = (answer) => view.answer(answer);
    model.on("change:index", takeIndex);
    model.on("msg:custom", takeAnswer);
    return () => {
      model.off("change:index", takeIndex);
      model.off("msg:custom", takeAnswer);
      view.remove();
    };
  },
};
