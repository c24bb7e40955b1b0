// The Transformer of "Attention Is All You Need" in plain JavaScript: the model of minitfm/transformer.py, run one
// token at a time. It reads the file that minitfm/web/weights.py writes, and uses the names of the Python package.
//
//     const model = Transformer.read(await (await fetch("dates.safetensors")).arrayBuffer());
//     for (const step of model.greedy(model.tokens("4 March 2025").ids)) console.log(model.symbols[step.written]);
//
// A vector is a Float32Array; a sequence is an array of vectors, one for each token.

const PAD = 0;
export const BOS = 1;
export const EOS = 2;

// ---- Vectors ---------------------------------------------------------------------------------------------------

const add = (x, y) => x.map((number, i) => number + y[i]);
const relu = (x) => x.map((number) => Math.max(0, number));
const range = (length, make) => Array.from({ length }, (_, i) => make(i));

/** The place of the largest number; the first one if several are equally large. */
export const argmax = (x) => x.reduce((best, number, i) => (number > x[best] ? i : best), 0);

/** Numbers of at least 0 that sum to 1. Taking the largest away first changes nothing, and exp cannot overflow. */
export function softmax(scores) {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** x Wᵀ + b, where W is a matrix of (outputs, inputs), as in nn.Linear. */
function linear(x, weight, bias) {
  const [outputs, inputs] = weight.shape;
  const y = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let sum = bias ? bias.data[o] : 0;
    for (let i = 0; i < inputs; i++) sum += weight.data[o * inputs + i] * x[i];
    y[o] = sum;
  }
  return y;
}

/** Bring a vector to mean 0 and variance 1, then scale and shift each component (chapter 8). */
function layerNorm(x, gain, bias, eps = 1e-5) {
  const mean = x.reduce((sum, number) => sum + number, 0) / x.length;
  const variance = x.reduce((sum, number) => sum + (number - mean) ** 2, 0) / x.length;
  return x.map((number, i) => ((number - mean) / Math.sqrt(variance + eps)) * gain.data[i] + bias.data[i]);
}

// ---- Positions (chapter 7) -------------------------------------------------------------------------------------

/** The angle of a pair of components, (2·pair, 2·pair + 1), at a position: fast pairs first, slow ones last. */
const angle = (position, pair, width) => position * 10_000 ** ((-2 * pair) / width);

/** The paper's PE(pos, ·): a sine and a cosine of each angle (section 3.5). */
function sinusoid(position, width) {
  return Float32Array.from({ length: width }, (_, i) => {
    const a = angle(position, i >> 1, width);
    return i % 2 ? Math.cos(a) : Math.sin(a);
  });
}

/** Rotary positions: turn every pair of components of every head's query or key by its angle. */
function rotate(x, position, width) {
  const y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i += 2) {
    const a = angle(position, (i % width) >> 1, width);
    y[i] = x[i] * Math.cos(a) - x[i + 1] * Math.sin(a);
    y[i + 1] = x[i] * Math.sin(a) + x[i + 1] * Math.cos(a);
  }
  return y;
}

// ---- The model -------------------------------------------------------------------------------------------------

export class Transformer {
  constructor({ tensors, config, symbols, longest, about }) {
    Object.assign(this, { tensors, config, symbols, longest, about });
    const { d_model, heads } = config;
    this.d_k = config.d_k ?? d_model / heads;
    this.d_v = config.d_v ?? d_model / heads;
    this.ids = new Map(symbols.map((symbol, id) => [symbol, id]).slice(EOS + 1)); // nobody types <pad>, <bos> or <eos>
    // A shared matrix is in the file once, under the first of its names.
    this.source_embedding = tensors["source_embedding.weight"];
    this.target_embedding = tensors["target_embedding.weight"] ?? this.source_embedding;
    this.generator = tensors["generator.weight"] ?? this.target_embedding;
  }

  /** Make the model of a safetensors file. */
  static read(buffer) {
    const { tensors, metadata } = readSafetensors(buffer);
    if (!metadata?.minitfm) throw new Error("this safetensors file holds no model of minitfm");
    return new Transformer({ tensors, ...JSON.parse(metadata.minitfm) });
  }

  /** The ids of a text's characters, and the characters for which there is none. */
  tokens(text) {
    const characters = [...text];
    return {
      ids: characters.map((character) => this.ids.get(character)),
      unknown: [...new Set(characters.filter((character) => !this.ids.has(character)))],
    };
  }

  /** A layer of the file by its name, as a function of one vector. */
  linear(name, x) {
    return linear(x, this.tensors[`${name}.weight`], this.tensors[`${name}.bias`]);
  }

  norm(name, x) {
    return layerNorm(x, this.tensors[`${name}.gain`], this.tensors[`${name}.bias`]);
  }

  /** max(0, xW1 + b1)W2 + b2 (equation 2). */
  feedForward(name, x) {
    return this.linear(`${name}.outer`, relu(this.linear(`${name}.inner`, x)));
  }

  /** The straight path and the sublayer beside it: LayerNorm(x + Sublayer(x)), or with pre-norm x + Sublayer(LayerNorm(x)). */
  residual(name, x, sublayer) {
    const norm = (y) => this.norm(`${name}.norm`, y);
    return this.config.norm === "pre" ? add(x, sublayer(norm(x))) : norm(add(x, sublayer(x)));
  }

  /** Only pre-norm leaves a stack's sum unnormalized. */
  finalNorm(stack, x) {
    return this.config.norm === "pre" ? this.norm(`${stack}.norm`, x) : x;
  }

  /** A token's vector: embedding times √d_model, plus position (sections 3.4 and 3.5). */
  embed(id, position, side) {
    const { d_model, positions, max_length } = this.config;
    const row = (table, i) => table.data.subarray(i * d_model, (i + 1) * d_model);
    const x = row(this[`${side}_embedding`], id).map((number) => number * Math.sqrt(d_model));
    if (positions === "rotary") return x;
    if (positions === "sinusoidal") return add(x, sinusoid(position, d_model));
    if (position < max_length) return add(x, row(this.tensors[`${side}_positions.table`], position));
    throw new Error(`the model learned only ${max_length} positions, and this text needs more`);
  }

  /** What a token offers to those that attend to it: its key and its value, all heads side by side. */
  keyAndValue(name, x, position) {
    return { key: this.turn(this.linear(`${name}.key`, x), position), value: this.linear(`${name}.value`, x) };
  }

  /** Rotary positions act in self-attention alone; elsewhere no position is given. */
  turn(x, position) {
    return position !== undefined && this.config.positions === "rotary" ? rotate(x, position, this.d_k) : x;
  }

  /** One query looks up all keys, in every head (equation 1): the answer, and each head's weights. */
  attend(name, x, offers, position) {
    const { heads } = this.config;
    const { d_k, d_v } = this;
    const query = this.turn(this.linear(`${name}.query`, x), position);
    const answers = new Float32Array(heads * d_v);
    const weights = range(heads, (head) => {
      const scores = Float64Array.from(offers, ({ key, hidden }) => {
        if (hidden) return -Infinity; // the mask: a weight of 0
        let product = 0;
        for (let i = head * d_k; i < (head + 1) * d_k; i++) product += query[i] * key[i];
        return product / Math.sqrt(d_k);
      });
      const row = softmax(scores);
      offers.forEach(({ value }, k) => {
        for (let i = head * d_v; i < (head + 1) * d_v; i++) answers[i] += row[k] * value[i];
      });
      return row;
    });
    return { answer: this.linear(`${name}.output`, answers), weights };
  }

  /** Read the source once: its tokens in context, and all weights by layer, [head][query][key]. */
  encode(ids) {
    const weights = {};
    let x = ids.map((id, position) => this.embed(id, position, "source"));
    for (let layer = 0; layer < this.config.layers; layer++) {
      const name = `encoder.layers.${layer}`;
      const inputs = this.config.norm === "pre" ? x.map((y) => this.norm(`${name}.residual_1.norm`, y)) : x;
      const offers = inputs.map((y, position) => this.keyAndValue(`${name}.self_attention`, y, position));
      const rows = [];
      x = x.map((token, position) => {
        const y = this.residual(`${name}.residual_1`, token, (input) => {
          const looked = this.attend(`${name}.self_attention`, input, offers, position);
          rows.push(looked.weights);
          return looked.answer;
        });
        return this.residual(`${name}.residual_2`, y, (input) => this.feedForward(`${name}.feed_forward`, input));
      });
      weights[`${name}.self_attention`] = range(this.config.heads, (head) => rows.map((row) => row[head]));
    }
    return { memory: x.map((token) => this.finalNorm("encoder", token)), weights };
  }

  /** Begin to write. The keys and values of the source never change, so they are computed here, once. */
  start(memory) {
    const layers = range(this.config.layers, (layer) => ({
      source: memory.map((token) => this.keyAndValue(`decoder.layers.${layer}.cross_attention`, token)),
      target: [], // the keys and values of the tokens written so far: the cache that makes a step cheap
    }));
    return { position: 0, layers };
  }

  /** Append one token to the target: the logits of the next one, and this query's weights by layer, [head][key]. */
  step(id, state) {
    const weights = {};
    const position = state.position++;
    let x = this.embed(id, position, "target");
    state.layers.forEach(({ source, target }, layer) => {
      const name = `decoder.layers.${layer}`;
      const looking = (kind, offers, at) => (input) => {
        if (kind === "self_attention") {
          const hidden = id === PAD; // no token may look at padding, should an untrained model write it
          offers.push({ ...this.keyAndValue(`${name}.${kind}`, input, at), hidden }); // before it looks: it sees itself
        }
        const looked = this.attend(`${name}.${kind}`, input, offers, at);
        weights[`${name}.${kind}`] = looked.weights;
        return looked.answer;
      };
      x = this.residual(`${name}.residual_1`, x, looking("self_attention", target, position));
      x = this.residual(`${name}.residual_2`, x, looking("cross_attention", source));
      x = this.residual(`${name}.residual_3`, x, (input) => this.feedForward(`${name}.feed_forward`, input));
    });
    return { logits: linear(this.finalNorm("decoder", x), this.generator), weights };
  }

  /** Write by taking the likeliest token, again and again, until <eos>; every step is handed out as soon as it is taken. */
  *greedy(ids, longest = this.longest[1]) {
    const { memory, weights: encoder } = this.encode(ids);
    const state = this.start(memory);
    let read = BOS;
    for (let n = 0; n < longest; n++) {
      const { logits, weights } = this.step(read, state);
      const written = argmax(logits);
      yield { read, written, logits, probabilities: softmax(Float64Array.from(logits)), weights, encoder };
      if (written === EOS) return;
      read = written;
    }
  }
}

// ---- The file --------------------------------------------------------------------------------------------------

/** A safetensors file: eight bytes of length, a JSON header of that length, then the numbers. */
export function readSafetensors(buffer) {
  if (buffer.byteLength < 8) throw new Error("this is no safetensors file");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  if (8 + length > buffer.byteLength) throw new Error("this is no safetensors file");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const { __metadata__: metadata, ...entries } = header;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(entries)) {
    const bytes = buffer.slice(8 + length + begin, 8 + length + end);
    if (dtype !== "F32" && dtype !== "F16") throw new Error(`${name} is stored as ${dtype}; only F32 and F16 are read`);
    tensors[name] = { shape, data: dtype === "F32" ? new Float32Array(bytes) : halves(new Uint16Array(bytes)) };
  }
  return { tensors, metadata };
}

/** Half precision has 1 bit of sign, 5 of exponent and 10 of fraction. */
function halves(bits) {
  return Float32Array.from(bits, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = (half & 0x3ff) / 1024;
    if (exponent === 0) return sign * 2 ** -14 * fraction;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * 2 ** (exponent - 15) * (1 + fraction);
  });
}
