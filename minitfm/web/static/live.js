// <minitfm-live>: type a text and watch a Transformer translate it in this browser, token by token.
//
//     <minitfm-live model="../_static/minitfm/dates.safetensors" prompt="A date in English" examples='["4 March 2025"]'>
//
// Nothing heavy is fetched before the reader asks for a translation. A translation recorded beforehand, in a script
// element inside (minitfm.web.recording), is played once when the reader sees the element. `about` is what the model's file says of its training. In a notebook, the widget (the default export) hands over the
// reader's own model as bytes instead of an address.

const LIKELIEST = 5; // bars of the next token's probabilities
const PAUSE = 450; // milliseconds between two tokens, for readers who welcome motion
const PLAYED = 4500; // milliseconds of what is played by itself: motion of more than five would need a button to stop it
const SURE = 0.99; // a token that is surer than this is not marked

const STYLE = `
:host { display: block; container-type: inline-size; margin: 1rem 0; padding: 1rem; border-radius: 10px;
  border: 1px solid var(--edge);
  color: var(--pst-color-text-base, var(--jp-content-font-color1, CanvasText));
  --muted: var(--pst-color-text-muted, var(--jp-content-font-color2, color-mix(in srgb, currentColor 75%, transparent)));
  --edge: var(--pst-color-border, var(--jp-border-color1, color-mix(in srgb, currentColor 25%, transparent)));
  --soft: color-mix(in srgb, currentColor 7%, transparent);
  --blue: #0072b2; --on-blue: #fff; --orange: #d55e00;
  --mono: var(--pst-font-family-monospace, var(--jp-code-font-family, ui-monospace, monospace));
  font: 14px/1.4 var(--pst-font-family-base, var(--jp-ui-font-family, system-ui, sans-serif)); }
[hidden] { display: none !important; }
* { box-sizing: border-box; }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: 0; }
form label { flex: 1 1 12rem; min-width: 0; display: grid; gap: .2rem; font-weight: 600; }
input[type=text] { font: 17px/1.3 var(--mono); width: 100%; min-height: 42px; padding: .3rem .6rem; color: inherit;
  background: var(--pst-color-background, var(--jp-layout-color0, Canvas)); border: 1px solid var(--muted); border-radius: 6px; }
button { font: inherit; color: inherit; cursor: pointer; border: 1px solid var(--edge); border-radius: 6px; background: none; min-height: 30px; padding: 0 .7rem; }
button:hover { background: var(--soft); }
button.go { min-height: 42px; padding: 0 1.2rem; font-weight: 600; background: var(--blue); border-color: var(--blue); color: var(--on-blue); }
button.go:hover { filter: brightness(1.1); }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
.examples { display: flex; flex-wrap: wrap; gap: .35rem; align-items: center; margin: .6rem 0 0; color: var(--muted); }
.examples button { font: 13px var(--mono); color: inherit; white-space: pre; }
.status { margin: .6rem 0 0; min-height: 1.4em; color: var(--muted); }
.status.problem { color: inherit; border-left: 3px solid var(--orange); padding-left: .6rem; }
.retry { margin-top: .4rem; border-color: var(--muted); }
.stage { border-top: 1px solid var(--edge); margin-top: .75rem; padding-top: .75rem; }
.two { display: grid; grid-template-columns: 3fr 2fr; gap: 1rem 2rem; }
@container (max-width: 600px) { .two { grid-template-columns: minmax(0, 1fr); } }
.title { font-weight: 600; margin: 0 0 .4rem; }
.written { display: flex; flex-wrap: wrap; gap: 3px; min-height: 46px; }
.written button { font: 19px/1 var(--mono); min-width: 30px; min-height: 46px; padding: 4px .3rem 0; }
.written button.special { font-size: 13px; color: var(--muted); }
.written button::after { content: attr(data-sure); display: block; min-height: 11px; margin-top: 3px; font: 11px/1 var(--pst-font-family-base, system-ui, sans-serif); color: var(--muted); }
.written button.least { border-bottom: 3px solid var(--orange); }
.least-sure { margin: .6rem 0 0; }
.least-sure button { min-height: 26px; padding: 0 .4rem; font: 15px/1 var(--mono); border-bottom: 3px solid var(--orange); }
.meaning { margin: .6rem 0 0; font-weight: 600; }
.meaning.warn { border-left: 3px solid var(--orange); padding-left: .6rem; }
details.about { margin-top: .75rem; }
details.about summary { cursor: pointer; color: var(--muted); min-height: 26px; }
details.about p, details.about ul { margin: .4rem 0; } details.about ul { padding-left: 1.2rem; }
details.about ul li { display: list-item; height: auto; }
.forms { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; padding: 0 0 .3rem; }
th, td { text-align: left; padding: .15rem .6rem .15rem 0; border-bottom: 1px solid var(--edge); font-weight: 400; vertical-align: top; }
thead th { font-weight: 600; } td:last-child, th:last-child { text-align: right; padding-right: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:nth-child(2) { font-family: var(--mono); }
.written button.now { border-color: var(--blue); box-shadow: inset 0 0 0 1px var(--blue); font-weight: 700; background: color-mix(in srgb, var(--blue) 18%, transparent); }
.written button.later { color: var(--muted); border-style: dashed; }
.steps { display: flex; align-items: center; gap: .5rem; margin-top: .75rem; }
.steps label { white-space: nowrap; } .steps input { flex: 1 1 4rem; min-width: 0; accent-color: var(--blue); min-height: 30px; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 3px; }
li { display: grid; grid-template-columns: 3.2rem minmax(0, 1fr) 4.2rem; gap: .5rem; align-items: center; height: 22px; }
li b { font: 600 14px/1 var(--mono); text-align: right; white-space: pre; } li span:last-child { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.bar { height: 12px; background: var(--soft); border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--blue); border-radius: 3px; }
minitfm-attention { margin: 1rem 0 0; border-top: 1px solid var(--edge); padding-top: 1rem; }
@media (prefers-reduced-motion: no-preference) { .bar i { transition: width .2s; } }
`;

const MARKUP = `<style>${STYLE}</style>
<form>
  <label><span class="prompt"></span><input type="text" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
  <button class="go">Translate</button>
</form>
<p class="examples" hidden>Try</p>
<p class="status" role="status">The model is fetched when you ask for a translation, and runs in your browser.</p>
<button type="button" class="retry" hidden>Retry</button>
<p class="meaning" aria-live="polite"></p>
<div class="stage" hidden>
  <div class="two">
    <div>
      <div class="title">Written so far</div>
      <div class="written" role="group" aria-label="Tokens written so far; each shows its step"></div>
      <div class="steps">
        <button type="button" class="back" aria-label="One step back">‹</button>
        <label for="step"></label><input id="step" type="range" min="1">
        <button type="button" class="on" aria-label="One step on">›</button>
      </div>
      <p class="least-sure"></p>
    </div>
    <div><div class="title question"></div><ol aria-label="Likeliest next tokens"></ol></div>
  </div>
  <minitfm-attention></minitfm-attention>
</div>
<details class="about" hidden><summary>What this model was trained on, and what it cannot know</summary><div></div></details>`;

const argmax = (x) => x.reduce((best, number, i) => (number > x[best] ? i : best), 0);
const visible = (token) => (token === " " ? "␣" : token.replace(/^<([a-z]+)>$/, "⟨$1⟩"));
const japanese = (text) => /[\u3040-\u30ff\u4e00-\u9fff]/.test(text);
const quoted = (characters) => characters.map((character) => `“${visible(character)}”`).join(", ");
const percent = (share) => (share < 0.001 ? "< 0.1 %" : share > 0.999 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`);
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const MONTHS = "January February March April May June July August September October November December".split(" ");
const WEEKDAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const KANJI = "日月火水木金土"; // of the weekdays

/** The number of the weekday, 0 for Sunday; null if the calendar has no such day. */
function weekday(year, month, day) {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCDate() === day ? date.getUTCDay() : null;
}

/** What a Japanese date of the model means, in a sentence; nothing if it is no such date (minitfm.web.reading). */
export function meaning(written) {
  if (written === "？") return { sentence: "The model writes ？: it reads no day in this.", warn: true };
  const found = /^(\d+)年(\d+)月(\d+)日(?:か(\d+)月(\d+)日)?(.曜日)?$/.exec(written);
  if (!found) return null;
  const [, year, month, day, otherMonth, otherDay] = found.map(Number);
  const name = (m, d) => `${d} ${MONTHS[m - 1] ?? `(month ${m})`}`;
  if (!otherMonth) {
    const that = `That is ${name(month, day)} ${year}`;
    const [real, said] = [weekday(year, month, day), found[6] && KANJI.indexOf(found[6][0])];
    if (!(said >= 0) || real === null || real === said) return { sentence: `${that}.`, warn: false };
    return { sentence: `${that}, a ${WEEKDAYS[real]}, though ${found[6]} says ${WEEKDAYS[said]}.`, warn: true };
  }
  return {
    sentence: `This can mean two days, ${name(month, day)} or ${name(otherMonth, otherDay)} ${year}; the model writes both, with か (“or”) between them.`,
    warn: true,
  };
}

/** A model that can only repeat what was recorded of it (minitfm.web.recording). */
export function repeating({ text, symbols, written, probabilities, weights }) {
  const layers = (side, of) => Object.fromEntries(Object.entries(weights).filter(([name]) => name.startsWith(side)).map(([name, heads]) => [name, of(heads)]));
  const encoder = layers("encoder", (heads) => heads);
  return {
    symbols,
    recorded: text,
    *greedy() {
      for (const [i, id] of written.entries()) {
        yield { read: i ? written[i - 1] : 1, written: id, probabilities: probabilities[i], weights: layers("decoder", (heads) => heads.map((rows) => rows[i])), encoder };
      }
    },
  };
}

/** What the attention view shows after some steps: the source never changes, each step adds a query of the decoder. */
export function viewsOf(symbols, source, steps) {
  const names = Object.keys(steps[0].encoder).length;
  const layers = Array.from({ length: names }, (_, layer) => layer);
  const heads = steps[0].encoder["encoder.layers.0.self_attention"].map((_, head) => head);
  const ofSteps = (kind) => layers.map((layer) => heads.map((head) => steps.map(({ weights }) => [...weights[`decoder.layers.${layer}.${kind}`][head]])));
  const queries = steps.map(({ read }) => symbols[read]);
  const writes = steps.map(({ written }) => symbols[written]);
  return [
    {
      name: "encoder",
      label: "Encoder",
      caption: "Encoder self-attention: every token of the source looks at every token of the source.",
      queries: source,
      keys: source,
      weights: layers.map((layer) => steps[0].encoder[`encoder.layers.${layer}.self_attention`].map((rows) => rows.map((row) => [...row]))),
    },
    {
      name: "decoder",
      label: "Decoder",
      caption: "Decoder self-attention: every token of the target looks at itself and at what was written before it.",
      queries,
      keys: queries,
      writes,
      weights: ofSteps("self_attention"),
    },
    {
      name: "cross",
      label: "Cross",
      caption: "Cross-attention: every token of the target looks at the source, to find out what to write next.",
      queries,
      keys: source,
      writes,
      weights: ofSteps("cross_attention"),
    },
  ];
}

class LiveElement extends (globalThis.HTMLElement ?? Object) {
  #model = null; // a promise, so that two impatient clicks fetch one file
  #run = 0; // a new translation ends the one before
  #source = [];
  #steps = [];
  #shown = 0;
  #reload = false; // a module that did not arrive is fetched again only by a new page
  #watch = null; // until the recorded translation is played
  #writer = null; // the model whose steps are shown
  #follows = true; // until the reader takes the slider

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).innerHTML = MARKUP;
    this.#$("input").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault(); // JupyterLab cancels the line break that would send the form
      this.#$("form").requestSubmit();
    });
    this.#$("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.translate(this.#$("input").value);
    });
    this.#$(".retry").addEventListener("click", () => {
      if (this.#reload) location.reload();
      else this.translate(this.#$("input").value);
    });
    this.#$(".least-sure").addEventListener("click", (event) => {
      if (event.target.dataset.step) this.#goTo(Number(event.target.dataset.step));
    });
    this.#$("#step").addEventListener("input", (event) => this.#goTo(Number(event.target.value)));
    this.#$(".back").addEventListener("click", () => this.#goTo(this.#shown - 1));
    this.#$(".on").addEventListener("click", () => this.#goTo(this.#shown + 1));
    this.#$("minitfm-attention").addEventListener("selection", () => this.#focusStep());
  }

  connectedCallback() {
    const examples = JSON.parse(this.getAttribute("examples") ?? "[]");
    this.#$(".prompt").textContent = this.getAttribute("prompt") ?? "Source";
    this.#$("input").value ||= examples[0] ?? "";
    this.#$(".examples").hidden = !examples.length;
    this.#$(".examples").replaceChildren("Try ", ...examples.map((text) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", () => {
        this.#$("input").value = text;
        this.translate(text);
      });
      return button;
    }));
    this.#describe(JSON.parse(this.getAttribute("about") ?? "{}"));
    const recording = this.querySelector("script");
    if (recording) this.#playOnce(repeating(JSON.parse(recording.textContent)));
  }

  disconnectedCallback() {
    this.#run++;
    this.#watch?.disconnect();
  }

  /** Play what was recorded when the reader sees it: without motion for one who prefers that, and for nobody who was faster. */
  #playOnce(recording) {
    const play = async () => {
      await import("./attention-view.js");
      const untouched = !this.#run && this.#$("input").value === recording.recorded;
      if (this.isConnected && untouched) await this.#write(recording, recording.recorded, ++this.#run);
    };
    this.#watch = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      this.#watch.disconnect();
      play().catch(() => {}); // the reader has not asked for it, and can still ask for a translation
    }, { threshold: 0.5, rootMargin: "0px 0px -25% 0px" }); // with room below for what is written
    this.#watch.observe(this.#$("form"));
  }

  /** Say what the model was trained on: forms with examples and held-out results, years, limits. */
  #describe({ pairs, forms, years, held_out: tested, exact_match: right, cannot }) {
    this.#$(".about").hidden = !forms;
    if (!forms) return;
    const make = (tag, text = "", ...children) => {
      const element = document.createElement(tag);
      element.append(text, ...children);
      return element;
    };
    const row = (tag, ...cells) => make("tr", "", ...cells.map((text) => make(tag, text)));
    const table = make("table", "",
      make("caption", `Right: the share of ${tested} other texts of each form of which it gets every character right. Their days are in no text that it learned from.`),
      make("thead", "", row("th", "form", "such as", "right")),
      make("tbody", "", ...Object.entries(forms).map(([form, example]) => row("td", form, example, `${(100 * right[form]).toFixed(1)} %`))));
    table.querySelectorAll("thead th").forEach((cell) => (cell.scope = "col"));
    const scrolls = make("div", "", table);
    Object.assign(scrolls, { className: "forms", tabIndex: 0 });
    scrolls.setAttribute("role", "group");
    scrolls.setAttribute("aria-label", "Forms of dates");
    this.#$(".about div").replaceChildren(
      make("p", `${pairs.toLocaleString("en")} texts that a program made: days from ${years[0]} to ${years[1]}, in these forms, in upper and lower case, with and without weekday.`),
      scrolls,
      make("p", "What it cannot know:"),
      make("ul", "", ...cannot.map((text) => make("li", text))),
    );
  }

  /** The model as bytes, instead of an address in the attribute `model`. */
  set file(buffer) {
    this.bytes = buffer;
    this.#model = null;
  }

  /** Fetch the model and what draws it, once. */
  async load() {
    this.#model ??= (async () => {
      const parts = Promise.all([import("./transformer.js"), import("./attention-view.js")]);
      const [{ Transformer }] = await parts.catch((error) => {
        this.#reload = true;
        throw error;
      });
      const bytes = this.bytes ?? (await this.#fetch());
      try {
        return Transformer.read(bytes);
      } catch (error) {
        throw new Error(`the file arrived broken (${error.message})`);
      }
    })();
    try {
      return await this.#model;
    } catch (error) {
      this.#model = null; // the next click tries again
      throw error;
    }
  }

  async #fetch() {
    const address = this.getAttribute("model");
    let response;
    try {
      response = await fetch(address);
      if (response.ok) return await response.arrayBuffer();
    } catch {
      throw new Error("the connection failed");
    }
    throw new Error(`${address} is not there (HTTP ${response.status})`);
  }

  /** Translate a text before the reader's eyes. */
  async translate(text) {
    const run = ++this.#run;
    this.#say("Loading the model…");
    let model;
    try {
      model = await this.load();
    } catch (error) {
      if (run === this.#run) this.#fail(`The model could not be downloaded: ${error.message}.`, true);
      return;
    }
    if (run !== this.#run) return;
    const problem = this.#problem(model, text.trim());
    if (problem) return this.#fail(problem);
    try {
      await this.#write(model, text.trim(), run);
    } catch (error) {
      if (run === this.#run) this.#fail(`The model cannot run here: ${error.message}.`);
    }
  }

  /** Why this model cannot read this text, in a sentence; nothing if it can. */
  #problem(model, text) {
    const { unknown, ids } = model.tokens(text);
    const most = model.longest[0];
    if (!ids.length) return "Type something to translate first.";
    if (unknown.length) {
      const known = [...model.ids.keys()].join("").replace(" ", "␣");
      return `This model has never seen ${quoted(unknown)}. It knows these characters: ${known}`;
    }
    if (ids.length > most) return `That is ${ids.length} characters; this model has seen at most ${most}. Shorten the text.`;
    return null;
  }

  async #write(model, text, run) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const steps = model.recorded ? [...model.greedy()] : null;
    this.#writer = model;
    this.#source = [...text];
    this.#steps = [];
    this.#mean(null);
    this.#follows = true;
    let computing = 0;
    const writing = steps?.values() ?? model.greedy(model.tokens(text).ids);
    for (;;) {
      const begin = performance.now();
      const { value: step, done } = writing.next();
      computing += performance.now() - begin;
      if (done) break;
      this.#steps.push(step);
      if (!steps) this.#say(`Writing token ${this.#steps.length}…`); // nobody asked for what is played
      if (!calm) {
        this.#show(model, this.#follows ? this.#steps.length : this.#shown);
        await wait(steps ? Math.min(PAUSE, PLAYED / steps.length) : PAUSE);
      }
      if (run !== this.#run) return;
    }
    const count = this.#steps.length;
    const stopped = this.#steps.at(-1).written === 2;
    // The last thing to look at is the last token of the translation; the end of it is one step on.
    this.#show(model, this.#follows ? Math.max(1, count - (stopped ? 1 : 0)) : this.#shown);
    const written = this.#steps.filter(({ written }) => written > 2).map(({ written }) => model.symbols[written]).join("");
    this.#mean(stopped ? meaning(written) : null);
    const ended = stopped ? "" : " The model did not write ⟨eos⟩; it was stopped.";
    if (steps) this.#say("This was recorded from the model. Type a date, and the model itself is fetched and runs in your browser.");
    else this.#say(`Done: ${count} tokens, ${(computing / count).toFixed(1)} ms of computing each, all of it in your browser.${ended}`);
  }

  #goTo(step) {
    this.#follows = false;
    this.#show(this.#writer, Math.min(this.#steps.length, Math.max(1, step)));
  }

  /** Say what went wrong, and take away what belongs to the text before. */
  #fail(sentence, retry = false) {
    this.#steps = [];
    this.#$(".stage").hidden = true;
    this.#mean(null);
    this.#say(sentence, true);
    this.#$(".retry").hidden = !retry;
  }

  #say(sentence, problem = false) {
    this.#$(".retry").hidden = true;
    this.#$(".status").textContent = sentence;
    this.#$(".status").classList.toggle("problem", problem);
  }

  #mean(found) {
    const parts = (found?.sentence ?? "").split(/([\u3040-\u30ff\u4e00-\u9fff？]+)/); // Japanese at odd places
    this.#$(".meaning").replaceChildren(...parts.map((text, i) =>
      (i % 2 ? Object.assign(document.createElement("span"), { lang: "ja", textContent: text }) : text)));
    this.#$(".meaning").classList.toggle("warn", found?.warn ?? false);
  }

  #$(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  // ---- Drawing one step ----

  #show(model, shown) {
    this.#shown = shown;
    const steps = this.#steps.slice(0, shown);
    const { read, probabilities, written } = steps.at(-1);
    this.#$(".stage").hidden = false;
    this.#$(".steps label").textContent = `Step ${shown} of ${this.#steps.length}`;
    Object.assign(this.#$("#step"), { max: this.#steps.length, value: shown });
    this.#$(".back").disabled = shown === 1;
    this.#$(".on").disabled = shown === this.#steps.length;
    this.#showWritten(model);
    this.#$(".question").textContent = `After “${visible(model.symbols[read])}”: what comes next?`;
    const likeliest = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]).slice(0, LIKELIEST);
    this.#showProbabilities(likeliest.map((id) => [visible(model.symbols[id]), probabilities[id]]));
    const view = this.#$("minitfm-attention");
    view.data = { views: viewsOf(model.symbols, this.#source, steps), start: { view: "cross" } };
    this.#focusStep();
    this.dispatchEvent(new CustomEvent("step", { detail: { shown, written: model.symbols[written] } }));
  }

  #showWritten(model) {
    const place = this.#$(".written");
    const sure = this.#steps.map(({ written, probabilities }) => probabilities[written]);
    const lowest = Math.min(...sure);
    const least = lowest < SURE ? sure.indexOf(lowest) : -1; // sure of all: nothing to point at
    if (least < 0) this.#$(".least-sure").textContent = `Sure of each of these tokens: at least ${100 * SURE} %.`;
    else this.#showLeastSure(model, least);
    const focused = [...place.children].indexOf(this.shadowRoot.activeElement);
    place.replaceChildren(...this.#steps.map(({ written }, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = visible(model.symbols[written]);
      if (japanese(button.textContent)) button.lang = "ja";
      button.classList.toggle("special", written < 3);
      button.classList.toggle("now", i + 1 === this.#shown);
      button.classList.toggle("later", i + 1 > this.#shown);
      button.classList.toggle("least", i === least);
      button.dataset.sure = sure[i] < SURE ? `${Math.floor(100 * sure[i])} %` : "";
      button.title = `${percent(sure[i])} sure${i === least ? ", the least of all" : ""}`;
      button.setAttribute("aria-pressed", i + 1 === this.#shown);
      button.addEventListener("click", () => this.#goTo(i + 1));
      return button;
    }));
    place.children[focused]?.focus();
  }

  /** Where the model hesitated most: the token, its share, and what it would have written instead. */
  #showLeastSure(model, least) {
    const { written, probabilities } = this.#steps[least];
    const second = argmax(probabilities.map((probability, id) => (id === written ? -1 : probability)));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = visible(model.symbols[written]);
    if (japanese(button.textContent)) button.lang = "ja";
    button.dataset.step = least + 1;
    const next = document.createElement("span");
    next.textContent = visible(model.symbols[second]);
    if (japanese(next.textContent)) next.lang = "ja";
    this.#$(".least-sure").replaceChildren("Least sure: ", button, ` (step ${least + 1}), ${percent(probabilities[written])}; then “`, next, `”, ${percent(probabilities[second])}.`);
  }

  #showProbabilities(rows) {
    this.#$("ol").replaceChildren(...rows.map(([token, probability]) => {
      const row = document.createElement("li");
      row.innerHTML = `<b></b><span class="bar" aria-hidden="true"><i></i></span><span></span>`;
      row.querySelector("b").textContent = token;
      if (japanese(token)) row.querySelector("b").lang = "ja";
      row.querySelector("i").style.width = `${100 * probability}%`;
      row.lastChild.textContent = percent(probability);
      return row;
    }));
  }

  /** The query of this step is the token that was read last; the encoder has no such query. */
  #focusStep() {
    const view = this.#$("minitfm-attention");
    if (view.selection.view !== "encoder") view.selection = { focus: { side: "query", index: this.#shown - 1 } };
  }
}

if (globalThis.customElements && !customElements.get("minitfm-live")) customElements.define("minitfm-live", LiveElement);

// ---- The notebook's widget: traits `file`, `prompt` and `examples` ------------------------------------------------

export default {
  render({ model, el }) {
    const live = document.createElement("minitfm-live");
    live.dataset.lmSuppressShortcuts = true; // JupyterLab would take the arrow keys for its own
    const takeFile = () => {
      const { buffer, byteOffset, byteLength } = model.get("file");
      live.file = buffer.slice(byteOffset, byteOffset + byteLength);
    };
    takeFile();
    live.setAttribute("prompt", model.get("prompt"));
    live.setAttribute("examples", JSON.stringify(model.get("examples")));
    live.setAttribute("about", JSON.stringify(model.get("about") ?? {}));
    el.append(live);
    model.on("change:file", takeFile);
    return () => {
      model.off("change:file", takeFile);
      live.remove();
    };
  },
};
