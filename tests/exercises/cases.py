"""Answers that were once judged wrongly or explained badly, each with the right verdict and what must be said.

(exercise, code, verdict, words): the verdict is "right", "wrong", or "named", which is wrong and explained: by a known
mistake, by one edit of the reference or by the cause of its error. Each of the words, split at |, is in the message.
The code may be an expression, or define the answer last.
"""

STEP = "def rnn_step(x, h, w, b, u):\n    "
LSTM = """def lstm_step(x, h, c, w, b, u):
    i, f, g, o = (x @ w.T + b + h @ u.T).chunk(4, 1)
    """
GRU = """def gru_step(x, h, w, b, u, b2):
    rx, zx, nx = (x @ w.T + b).chunk(3, 1)
    rh, zh, nh = (h @ u.T).chunk(3, 1)
    """
MASKED = "def masked_loss(logits, target, pad=0):\n    "
UNROLL = """def unroll(model, source, target, forced):
    state = model.start(source)
    token = target[:, 0]
    written = []
    for i in range(1, target.shape[1]):
        logits, state = model.step(token, state)
        """
VECTOR = """def source_vector(model, source):
    mask = source != 0
    output, (h, c) = model.encoder(model.source_embedding(source), mask)
    """
WEIGHTS = """def attention_weights(query, key, mask=None):
    s = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    """
SDPA = """def scaled_dot_product_attention(query, key, value, mask=None):
    s = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    """
DECODER = """class DecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = attention_layer(config)
        self.cross_attention = attention_layer(config)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1, self.residual_2, self.residual_3 = residual_layer(config), residual_layer(config), residual_layer(config)

    def forward(self, x, memory, mask, memory_mask):
        """
LOG_MASK = """if mask is None:
        return s.softmax(-1){0}
    return (s + mask.to(s.dtype).log()).softmax(-1).where(mask, 0.){0}"""
SHIFTED = "def shift(target):\n    "
PERPLEXITY = "def perplexity(logits, target, pad=0):\n    "
SAMPLE = "def sample(logits, temperature, u):\n    "

CASES = [
    # wrong, and passed
    (
        "lstm_step",
        LSTM
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return (o.sigmoid() * c.tanh()).squeeze(), c.squeeze()",
        "wrong",
        "",
    ),
    (
        "gru_step",
        GRU
        + "r, z = (rx + rh).sigmoid(), (zx + zh).sigmoid()\n    n = (nx + r * (nh + b2)).tanh()\n    return (z * h + (1 - z) * n).squeeze()",
        "named",
        "squeeze",
    ),
    (
        "lstm_inside",
        LSTM
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return (o.sigmoid() * c.tanh()).squeeze(), c.squeeze()",
        "wrong",
        "",
    ),
    (
        "lstm_step",
        LSTM
        + "c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).clamp(-5, 5)\n    return o.sigmoid() * c.tanh(), c",
        "wrong",
        "size 100",
    ),
    (
        "lstm_inside",
        LSTM
        + "c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).clamp(-5, 5)\n    return o.sigmoid() * c.tanh(), c",
        "wrong",
        "size 100",
    ),
    (
        "lstm_step",
        LSTM
        + "s = lambda z: z.exp() / (1 + z.exp())\n    c = s(f) * c + s(i) * g.tanh()\n    return s(o) * c.tanh(), c",
        "wrong",
        "NaN",
    ),
    (
        "masked_loss",
        MASKED
        + "l = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=pad, reduction='none')\n    return l.sum() / (l != 0).sum()",
        "wrong",
        "",
    ),
    (
        "masked_loss",
        MASKED
        + "l = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=pad, reduction='none')\n    return l[l > 0].mean()",
        "wrong",
        "",
    ),
    (
        "unroll",
        UNROLL
        + "nxt = logits.argmax(-1)\n        written.append(nxt)\n        token = target[:, i] if forced else nxt\n        if (nxt == 2).all():\n            break\n    return torch.stack(written, 1)",
        "wrong",
        "",
    ),
    ("attention_weights", WEIGHTS + LOG_MASK.format(""), "wrong", "gradient"),
    ("attention_inside", SDPA + LOG_MASK.format(" @ value"), "wrong", "gradient"),
    (
        "rnn_inside",
        STEP + "return torch.tanh(x[:, :16] @ w[:, :16].T + b + h @ u.T)",
        "wrong",
        "",
    ),
    (
        "rnn_inside",
        STEP + "return torch.tanh(x @ w.T + b + h @ u.T) if x.any() else h",
        "wrong",
        "",
    ),
    # right, and rejected
    (
        "perplexity",
        "def f(logits, target, pad=0):\n    return math.exp(F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad))",
        "right",
        "",
    ),
    (
        "perplexity",
        "def f(logits, target, pad=0):\n    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad).exp().item()",
        "right",
        "",
    ),
    (
        "step_jacobian",
        "def f(h, u):\n    return torch.stack([torch.diag(1 - row.detach() ** 2) @ u for row in h])",
        "right",
        "",
    ),
    (
        "step_jacobian",
        "def f(h, u):\n    return torch.stack([torch.autograd.functional.jacobian(lambda old: torch.tanh(row.atanh() + u @ (old - 0)), torch.zeros_like(row)) for row in h])",
        "right",
        "",
    ),
    (
        "step_jacobian",
        "def f(h, u):\n    from torch.func import jacrev, vmap\n    return vmap(lambda row: jacrev(lambda old: torch.tanh(row.atanh() + u @ old))(torch.zeros_like(row)))(h)",
        "right",
        "",
    ),
    (
        "sample",
        "def f(logits, temperature, u):\n    return ((logits / temperature).softmax(-1).cumsum(-1) < u[:, None]).sum(-1).int()",
        "right",
        "",
    ),
    (
        "shift",
        SHIFTED + "return target[:, :-1].int(), target[:, 1:].int()",
        "right",
        "",
    ),
    ("cross_shape", "torch.tensor([32, 8, 15, 20])", "right", ""),
    ("cross_shape", "np.array([32, 8, 15, 20])", "right", ""),
    ("cross_shape", "torch.Size([32, 8, 15, 20])", "right", ""),
    ("cross_shape", "[32, 8, 15, 20]", "right", ""),
    ("rnn_parameters", "Fraction(7614)", "right", ""),
    ("lstm_parameters", "Decimal(24832)", "right", ""),
    ("rnn_parameters", "'7614'", "wrong", "a number, without quotes"),
    # wrong, rejected, and told something false, empty or revealing
    (
        "masked_loss",
        MASKED + "return logits.mean() * 0 + 1.25",
        "wrong",
        "not:look for a scale",
    ),
    ("rnn_parameters", "7630", "wrong", "not:times"),
    ("half_life", "16", "wrong", "not:times"),
    (
        "rnn_step",
        "torch.ones(3, 4)",
        "wrong",
        "a tensor of (3, 4)|Give the function itself",
    ),
    (
        "rnn_step",
        STEP
        + "return torch.tanh(x.float() @ w.float().T + b.float() + h.float() @ u.float().T).to(x.dtype)",
        "wrong",
        "float32|not:. 0 of|not:1 times",
    ),
    (
        "lstm_step",
        LSTM + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return c, c",
        "named",
        "c, c|not:Two mistakes",
    ),
    ("lstm_parameters", "18688", "named", "one W"),
    (
        "decoder_layer",
        DECODER
        + "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))\n        self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))\n        return self.residual_3(x, self.feed_forward)",
        "named",
        "cross-attention|not:Two mistakes",
    ),
    (
        "sample",
        "def f(logits, temperature, u):\n    p = logits.softmax(-1) / temperature\n    p = p / p.sum(-1, keepdim=True)\n    return (p.cumsum(-1) < u[:, None]).sum(-1)",
        "named",
        "temperature",
    ),
    (
        "source_vector",
        "def f(model, source):\n    return model.encode(source)",
        "named",
        "model.encode|not:without end",
    ),
    (
        "source_vector",
        "def f(model, source):\n    x = nn.utils.rnn.pack_padded_sequence(model.source_embedding(source), (source != 0).sum(1), batch_first=True, enforce_sorted=False)\n    output, (h, c) = model.encoder(x)\n    return torch.cat([h.flatten(1), c.flatten(1)], 1)",
        "named",
        "packed sequence",
    ),
    (
        "rnn_step",
        STEP + "return torch.tanh(nn.Linear(x.shape[1], h.shape[1])(x) + h @ u.T)",
        "named",
        "float32 meets float64",
    ),
    ("shift", SHIFTED + "return target[:, ::3], target[:, 1:]", "wrong", "token - 1"),
    (
        "rnn_step",
        STEP + "return torch.tanh(x @ w.T + b + h @ u.T).sum(0)",
        "wrong",
        "1 axis|not:1 axes",
    ),
    # wrong, rejected, not named
    ("rnn_step", STEP + "return torch.tanh(w @ x + b + u @ h)", "named", "w.T"),
    ("rnn_step", STEP + "return w @ x + b + u @ h", "named", "w.T"),
    ("rnn_step", STEP + "return torch.tanh(x @ w.T + b + u @ h)", "named", "h @ u.T"),
    ("rnn_step", STEP + "return torch.tanh(x * w + b + h @ u.T)", "named", ""),
    (
        "rnn_step",
        "W, U = torch.randn(3, 3), torch.randn(3, 3)\n"
        + STEP
        + "return torch.tanh(x @ W.T + b + h @ U.T)",
        "named",
        "`W`, a variable of the notebook",
    ),
    (
        "rnn_step",
        STEP + "return torch.tanh(torch.tanh(x @ w.T + b + h @ u.T))",
        "named",
        "twice",
    ),
    (
        "perplexity",
        "def f(logits, target, pad=0):\n    return F.cross_entropy(logits, target, ignore_index=pad).exp()",
        "named",
        "flatten",
    ),
    (
        "perplexity",
        "def f(logits, target, pad=0):\n    return F.nll_loss(logits.flatten(0, 1), target.flatten(), ignore_index=pad).exp()",
        "named",
        "log",
    ),
    (
        "perplexity",
        "def f(logits, target, pad=0):\n    return F.nll_loss(logits.softmax(-1).flatten(0, 1), target.flatten(), ignore_index=pad).exp()",
        "named",
        "log",
    ),
    (
        "perplexity",
        "def f(logits, target, pad=0):\n    return (F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad) / math.log(2)).exp()",
        "named",
        "2",
    ),
    (
        "perplexity",
        "def f(logits, target, pad=0):\n    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad, label_smoothing=0.1).exp()",
        "named",
        "smooth",
    ),
    (
        "step_jacobian",
        "def f(h, u):\n    return torch.diag(1 - h**2) @ u",
        "named",
        "diag",
    ),
    ("step_jacobian", "def f(h, u):\n    return (1 - h**2) * u", "named", "unsqueeze"),
    (
        "step_jacobian",
        "def f(h, u):\n    new = torch.tanh(h @ u.T)\n    return (1 - new**2).unsqueeze(2) * u",
        "named",
        "new",
    ),
    (
        "step_jacobian",
        "def f(h, u):\n    return ((1 - h) ** 2).unsqueeze(2) * u",
        "named",
        "",
    ),
    (
        "lstm_step",
        LSTM.replace("chunk(4, 1)", "chunk(4)")
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return o.sigmoid() * c.tanh(), c",
        "named",
        "dim=1",
    ),
    (
        "lstm_step",
        LSTM.replace("h @ u.T", "h @ u")
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return o.sigmoid() * c.tanh(), c",
        "named",
        "u.T",
    ),
    (
        "lstm_step",
        LSTM.replace("chunk(4, 1)", "view(4, len(x), -1)")
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return o.sigmoid() * c.tanh(), c",
        "named",
        "chunk",
    ),
    (
        "lstm_step",
        LSTM
        + "c = f.sigmoid().sigmoid() * c + i.sigmoid() * g.tanh()\n    return o.sigmoid() * c.tanh(), c",
        "named",
        "twice",
    ),
    (
        "lstm_step",
        LSTM
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return o.sigmoid() * c.sigmoid(), c",
        "named",
        "c.sigmoid()",
    ),
    (
        "lstm_step",
        LSTM.replace("+ b +", "+ 2 * b +")
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    return o.sigmoid() * c.tanh(), c",
        "named",
        "b",
    ),
    (
        "lstm_step",
        LSTM
        + "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n    h = o.sigmoid() * c.tanh()\n    return h, h",
        "named",
        "h, h",
    ),
    (
        "lstm_step",
        LSTM
        + "c = f.sigmoid() * (c + i.sigmoid() * g.tanh())\n    return o.sigmoid() * c.tanh(), c",
        "named",
        "order",
    ),
    (
        "gru_step",
        "def gru_step(x, h, w, b, u, b2):\n    r, z, n = (x @ w.T + b + h @ u.T).chunk(3, 1)\n    r, z = r.sigmoid(), z.sigmoid()\n    n = (r * n + b2).tanh()\n    return z * h + (1 - z) * n",
        "named",
        "reset",
    ),
    (
        "gru_step",
        GRU
        + "r, z = (rx + rh).sigmoid(), (zx + zh).sigmoid()\n    un = u.chunk(3)[2]\n    n = (nx + (r * h) @ un.T + r * b2).tanh()\n    return z * h + (1 - z) * n",
        "named",
        "reset",
    ),
    (
        "gru_step",
        GRU.replace("rx, zx, nx", "zx, rx, nx")
        + "r, z = (rx + rh).sigmoid(), (zx + zh).sigmoid()\n    n = (nx + r * (nh + b2)).tanh()\n    return z * h + (1 - z) * n",
        "named",
        "",
    ),
    ("half_life", "14.39", "named", "whole"),
    ("half_life", "16", "named", ""),
    (
        "shift",
        SHIFTED
        + "keep = target.clone()\n    keep[keep == 2] = 0\n    return keep[:, :-1], target[:, 1:]",
        "named",
        "<eos>",
    ),
    (
        "shift",
        SHIFTED
        + "return target[:, :-1], target[:, 1:].masked_fill(target[:, 1:] == 0, -100)",
        "named",
        "-100",
    ),
    (
        "shift",
        SHIFTED
        + "bos = torch.ones_like(target[:, :1])\n    return torch.cat([bos, target[:, :-1]], 1), target[:, 1:]",
        "named",
        "<bos>",
    ),
    (
        "shift",
        SHIFTED
        + "bos = torch.ones_like(target[:, :1])\n    return torch.cat([bos, target], 1), target",
        "named",
        "<bos>",
    ),
    (
        "unroll",
        UNROLL.replace("range(1, target.shape[1])", "range(1, target.shape[1] + 1)")
        + "written.append(logits.argmax(-1))\n        token = target[:, min(i, target.shape[1] - 1)] if forced else written[-1]\n    return torch.stack(written, 1)",
        "named",
        "one step",
    ),
    (
        "unroll",
        UNROLL
        + "token = target[:, i] if forced else logits.argmax(-1)\n        written.append(target[:, i])\n    return torch.stack(written, 1)",
        "named",
        "target",
    ),
    (
        "unroll",
        UNROLL
        + "written.append(token)\n        token = target[:, i] if forced else logits.argmax(-1)\n    return torch.stack(written, 1)",
        "named",
        "fed",
    ),
    ("source_vector", VECTOR + "return torch.cat([h[-1], c[-1]], 1)", "named", "h[-1]"),
    (
        "source_vector",
        VECTOR + "return torch.stack([h.flatten(1), c.flatten(1)], 1)",
        "named",
        "stack",
    ),
    (
        "source_vector",
        VECTOR + "return torch.cat([h.flatten(1), h.flatten(1)], 1)",
        "named",
        "h",
    ),
    ("source_vector", VECTOR + "return torch.cat([h, c], 1)", "named", "flatten"),
    (
        "attention_weights",
        WEIGHTS
        + "return s.softmax(-1) if mask is None else s.masked_fill(mask, -1e9).softmax(-1)",
        "named",
        "way round",
    ),
    (
        "attention_weights",
        WEIGHTS
        + "return s.softmax(-1) if mask is None else s.masked_fill(mask, -math.inf).softmax(-1)",
        "named",
        "way round",
    ),
    (
        "attention_weights",
        WEIGHTS
        + "return s.softmax(-1) if mask is None else s.masked_fill(mask, -math.inf).softmax(-1).masked_fill(mask, 0)",
        "named",
        "way round",
    ),
    (
        "attention_weights",
        WEIGHTS
        + "return s.softmax(-1) if mask is None else s.where(~mask, -1e9).softmax(-1).where(mask, 0.)",
        "named",
        "way round",
    ),
    (
        "attention_weights",
        WEIGHTS
        + "s = s.sigmoid()\n    return s if mask is None else s.where(mask, 0.)",
        "named",
        "sigmoid",
    ),
    (
        "attention_weights",
        WEIGHTS.replace("query.shape[-1]", "64")
        + "return s.softmax(-1) if mask is None else s.where(mask, -math.inf).softmax(-1).where(mask, 0.)",
        "named",
        "64",
    ),
    (
        "attention_weights",
        WEIGHTS.replace("query.shape[-1]", "query.shape[-2]")
        + "return s.softmax(-1) if mask is None else s.where(mask, -math.inf).softmax(-1).where(mask, 0.)",
        "named",
        "",
    ),
    (
        "attention_weights",
        WEIGHTS
        + "return s.softmax(-1) if mask is None else s.where(mask, -1e4).softmax(-1)",
        "named",
        "",
    ),
    (
        "scaled_dot_product",
        SDPA
        + "w = s.softmax(-1) if mask is None else s.where(mask, -math.inf).softmax(-1).where(mask, 0.)\n    return w @ key",
        "named",
        "keys",
    ),
    (
        "scaled_dot_product",
        SDPA
        + "s = s if mask is None else s.where(mask, -math.inf)\n    w = F.one_hot(s.argmax(-1), s.shape[-1]).to(s)\n    w = w if mask is None else w.where(mask, 0.)\n    return w @ value",
        "named",
        "argmax",
    ),
    (
        "embed",
        "def f(tokens, embedding, positions):\n    x = embedding(tokens) * math.sqrt(embedding.embedding_dim)\n    return x + positions(tokens)",
        "named",
        "positions",
    ),
    (
        "embed",
        "def f(tokens, embedding, positions):\n    return positions(embedding(tokens) * math.sqrt(512))",
        "named",
        "512",
    ),
    (
        "embed",
        "def f(tokens, embedding, positions):\n    return positions(embedding(tokens)) * math.sqrt(embedding.embedding_dim)",
        "named",
        "positions",
    ),
    (
        "decoder_layer",
        DECODER
        + "x = self.residual_1(x, self.self_attention(x, x, x, mask))\n        x = self.residual_2(x, self.cross_attention(x, memory, memory, memory_mask))\n        return self.residual_3(x, self.feed_forward)",
        "named",
        "lambda",
    ),
    (
        "decoder_layer",
        DECODER
        + "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))\n        x = self.residual_3(x, self.feed_forward)\n        return self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))",
        "named",
        "feed-forward",
    ),
    (
        "decoder_layer",
        DECODER
        + "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))\n        x = self.residual_3(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))\n        return self.residual_2(x, self.feed_forward)",
        "named",
        "residual",
    ),
    (
        "decoder_layer",
        DECODER
        + "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, ~mask))\n        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))\n        return self.residual_3(x, self.feed_forward)",
        "named",
        "way round",
    ),
    (
        "decoder_layer",
        DECODER
        + "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, ~mask))\n        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, ~memory_mask))\n        return self.residual_3(x, self.feed_forward)",
        "named",
        "way round",
    ),
    ("rnn_parameters", "2 * 7614", "named", ""),
    ("rnn_parameters", "20 * 7614", "named", "length"),
    ("rnn_parameters", "30 * 16 + 64 * 30 + 30", "named", "recurrent"),
    ("rnn_parameters", "7614 - 64 + 16", "named", "b has 16"),
    ("lstm_parameters", "2 * 24832", "named", ""),
    ("parameters", "63045632 + 37000", "named", "bias"),
    ("parameters", "63045632 + 2 * 512", "named", "norm"),
    ("parameters", "63.05e6", "named", "round"),
    (
        "attention_slope",
        'def f(query, key, value):\n    d = query.shape[-1]\n    e = (query @ key.mT / d**0.5).exp()\n    w = e / e.sum(-1, keepdim=True)\n    t = torch.einsum("bqk,bkv,bkd->bqvd", w, value, key)\n    return (t - (w @ value).unsqueeze(-1) * (w @ key).unsqueeze(-2)) / d**0.5',
        "named",
        "infinite",
    ),
    (
        "packed_mask",
        "def f(s):\n    i = torch.arange(s.shape[1])\n    real = i < (s != 0).sum(1, keepdim=True)\n    return (s[:, :, None] == s[:, None]) & real[:, None] & (i[:, None] >= i)",
        "wrong",
        "padding in front",
    ),
    (
        "packed_mask",
        "def f(s):\n    i = torch.arange(s.shape[1])\n    return (s != 0)[:, None] & (s != 0)[:, :, None] & (i[:, None] >= i)",
        "named",
        "sentences before its own",
    ),
    (
        "ask_for",
        "def f(places, shift):\n    i = torch.arange(places)\n    return i[:, None] == i + shift",
        "wrong",
        "dtype=torch.float32",
    ),
    ("head_parameters", "3 * 512 * 12 * 64 - 512 * 12 * 32", "named", "W^V or W^O"),
    (
        "ask_for",
        "def f(places, shift):\n    i = torch.arange(places)\n    return (i[:, None] == i + abs(shift)).float()",
        "named",
        "without its sign",
    ),
    (
        "packed_mask",
        "def f(s):\n    i = torch.arange(s.shape[1])\n    return ~((s[:, :, None] == s[:, None]) & (s != 0)[:, None]) & (i[:, None] >= i)",
        "wrong",
        "not:other way round",
    ),
    # chapters 1 and 2
    (
        "rnn_step",
        STEP + "return torch.tanh(x @ w.T + (b + h @ u.T if h.any() else 0))",
        "wrong",
        "all 0",
    ),
    (
        "rnn_step",
        STEP
        + "key = w.shape, u.shape\n    w, b, u = seen.setdefault(key, (w, b, u))\n    return torch.tanh(x @ w.T + b + h @ u.T)\nseen = {}",
        "wrong",
        "",
    ),
    (
        "gru_step",
        GRU
        + "r, z = (rx + rh).sigmoid(), (zx + zh).sigmoid()\n    n = (nx + r * (nh + b2)).tanh() if h.any() else nx.tanh()\n    return z * h + (1 - z) * n",
        "wrong",
        "all 0",
    ),
    (
        "lstm_step",
        LSTM
        + "c = f.sigmoid() * c + (i.sigmoid() * g.tanh() if c.any() else 0)\n    return o.sigmoid() * c.tanh(), c",
        "wrong",
        "all 0",
    ),
    (
        "lstm_step",
        LSTM
        + "c = f.sigmoid() * c + (i.sigmoid() * g.tanh() if h.any() else 0)\n    return o.sigmoid() * c.tanh(), c",
        "wrong",
        "all 0",
    ),
    (
        "perplexity",
        PERPLEXITY
        + "n = int((target[0] != pad).sum())\n    return F.cross_entropy(logits[:, :n].flatten(0, 1), target[:, :n].flatten(), ignore_index=pad).exp()",
        "wrong",
        "",
    ),
    (
        "perplexity",
        PERPLEXITY
        + "p = logits.softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)[target != pad]\n    return (-p.log().mean()).exp()",
        "named",
        "rounded to 0",
    ),
    (
        "sample",
        SAMPLE
        + "p = (logits / temperature).softmax(-1)\n    if temperature < 0.5:\n        return p.argmax(-1)\n    return (p.cumsum(-1) < u[:, None]).sum(-1)",
        "wrong",
        "temperature",
    ),
    (
        "sample",
        SAMPLE
        + "return ((logits / min(temperature, 2)).softmax(-1).cumsum(-1) < u[:, None]).sum(-1)",
        "wrong",
        "temperature 5",
    ),
    (
        "sample",
        SAMPLE
        + "z = torch.exp(logits / temperature)\n    p = z / z.sum(-1, keepdim=True)\n    return (p.cumsum(-1) < u[:, None]).sum(-1)",
        "named",
        "overflow",
    ),
    (
        "sample",
        SAMPLE
        + "q = logits.softmax(-1) ** (1 / temperature)\n    p = q / q.sum(-1, keepdim=True)\n    return (p.cumsum(-1) < u[:, None]).sum(-1)",
        "named",
        "underflow",
    ),
    (
        "sample",
        SAMPLE
        + "return ((logits / temperature).softmax(-1).cumsum(-1) < u[:, None]).sum(-1) - 1",
        "named",
        "subtracted|not:begin",
    ),
    (
        "sample",
        SAMPLE
        + "return ((logits - temperature).softmax(-1).cumsum(-1) < u[:, None]).sum(-1)",
        "named",
        "subtracted",
    ),
    (
        "gru_step",
        "def gru_step(x, h, w, b, u, b2):\n    return h",
        "wrong",
        "returns its input `h`",
    ),
    (
        "step_jacobian",
        "def step_jacobian(h, u):\n    return h",
        "wrong",
        "returns its input `h`|not:unsqueeze",
    ),
    (
        "step_jacobian",
        "def step_jacobian(h, u):\n    return u",
        "wrong",
        "not:unsqueeze",
    ),
    (
        "rnn_step",
        STEP
        + "return torch.tanh(F.linear(x, w, b) + h @ u.T + 0 * (h - h.detach()).sqrt())",
        "wrong",
        "NaN|not:detach",
    ),
    ("lstm_parameters", "16640", "named", "two ways"),
    ("lstm_parameters", "16384", "wrong", "not:4 *"),
    ("lstm_parameters", "128", "wrong", "not:weighted_sum"),
    ("lstm_parameters", "10**400", "wrong", "large"),
    ("rnn_parameters", "1950", "wrong", "not:embedding +"),
    ("half_life", "16", "named", "not:15"),
    ("half_life", "29", "wrong", "not:exp"),
    ("half_life", "torch.tensor(3.0, dtype=torch.float64).sigmoid()", "named", "share"),
    ("half_life", "float('nan')", "wrong", "not:`"),
    # wrong, and passed
    (
        "masked_loss",
        MASKED
        + "n = int((target[0] != pad).sum())\n    logits, target = logits[:, :n], target[:, :n]\n    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)",
        "named",
        "first row",
    ),
    (
        "decoder_layer",
        DECODER
        + "r = self.residual_1\n        def add(r, x, f):\n            return r.norm(x + f(x)) if r.placement == 'post' else x + f(r.norm(x))\n        x = add(self.residual_1, x, lambda y: self.self_attention(y, y, y, mask))\n        x = add(self.residual_2, x, lambda y: self.cross_attention(y, memory, memory, memory_mask))\n        return add(self.residual_3, x, self.feed_forward)",
        "wrong",
        "dropout in training",
    ),
    (
        "decoder_layer",
        DECODER
        + "self.eval()\n        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))\n        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))\n        return self.residual_3(x, self.feed_forward)",
        "wrong",
        "dropout in training",
    ),
    (
        "decoder_layer",
        DECODER
        + "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))\n        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask[:, :1]))\n        return self.residual_3(x, self.feed_forward)",
        "wrong",
        "memory_mask for each query",
    ),
    (
        "unroll",
        UNROLL.replace("target[:, 0]", "torch.ones(len(source)).long()")
        + "written.append(logits.argmax(-1))\n        token = target[:, i] if forced else written[-1]\n    return torch.stack(written, dim=1)",
        "named",
        "another id",
    ),
    # a number in a list, and a number that no float can hold
    ("parameters", "[63045632]", "right", ""),
    ("parameters", "torch.tensor([63045632])", "right", ""),
    ("parameters", "[63045632, 1]", "wrong", "one number"),
    ("parameters", "10**400", "wrong", "too large"),
    ("parameters", "-10**400", "wrong", "too small"),
    ("parameters", "63045632 - 6144", "named", "6,144 short"),
    ("parameters", "63045632 - 12 * 2048", "named", "first bias"),
    # no slip that nobody made, and not the solution
    ("parameters", "63045632 + 6 * 2048", "wrong", "too large|not:exactly this"),
    # values of the right shape that no mistake explains
    (
        "shift",
        SHIFTED + "return target[:, :-1], (target[:, 1:] * 7 + 5) % 11",
        "wrong",
        "oken 0 is",
    ),
    (
        "embed",
        "def embed(tokens, embedding, positions):\n    with torch.no_grad():\n        embedding.weight.mul_(math.sqrt(embedding.embedding_dim))\n    return positions(embedding(tokens))",
        "wrong",
        "overwrites its input `embedding.weight`|not:does not flow",
    ),
    (
        "embed",
        "def embed(tokens, embedding, positions):\n    x = positions(embedding(tokens) * math.sqrt(embedding.embedding_dim))\n    zero = x * 0\n    return x + zero.where(zero != 0, zero.sqrt()) * 0",
        "wrong",
        "it is NaN|not:does not flow",
    ),
]
