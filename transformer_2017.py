"""The Transformer of "Attention Is All You Need" (arXiv 1706.03762), whole: model,
training and writing, on a task of its own, dates from English to Japanese.

    python transformer_2017.py    # trains it on a laptop in a minute and lets it write

It needs PyTorch alone. Strings in annotations name a tensor's axes; sections and
equations are the paper's. Made from the package of the course minitfm, which builds the
model piece by piece, and tested to be equal to it.
"""

import datetime
import math
import random
import string

import torch
from torch import nn

PAD, BOS, EOS = 0, 1, 2  # ids: what fills up a batch, a target's beginning, its end


# ---- Attention (section 3.2) ----
def scaled_dot_product_attention(query, key, value, mask) -> "... query d_v":
    """Average the values by how well each query matches each key (equation 1)."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    weights = scores.where(mask, -math.inf).softmax(-1)
    return weights.where(mask, 0.0) @ value  # zeros where a query may see nothing


class MultiHeadAttention(nn.Module):
    """Attend several times in smaller spaces, concatenate, project (3.2.2)."""

    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, query, key, value, mask) -> "batch query d_model":
        q = self.split(self.query(query))  # (batch, heads, query, d_k)
        k = self.split(self.key(key))
        v = self.split(self.value(value))
        x = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))
        return self.output(x.transpose(1, 2).flatten(2))


# ---- Feed-forward network and positions (sections 3.3, 3.5) ----
class FeedForward(nn.Module):
    """The same two-layer network at every position (equation 2)."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)

    def forward(self, x: "... d_model") -> "... d_model":
        return self.outer(torch.relu(self.inner(x)))


def sinusoids(length, d_model) -> "length d_model":
    """PE(pos, 2i) = sin(pos / 10000^(2i/d_model)); PE(pos, 2i+1) = cos of the same."""
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    pair = torch.arange(0, d_model, 2, dtype=torch.float64)
    angle = position * 10_000.0 ** (-pair / d_model)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


# ---- The model (Figure 1) ----
class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network (Figure 1, left)."""

    def __init__(self, d_model, d_ff, heads, dropout):
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask) -> "batch source d_model":
        x = self.norm_1(x + self.dropout(self.self_attention(x, x, x, mask)))
        return self.norm_2(x + self.dropout(self.feed_forward(x)))


class DecoderLayer(nn.Module):
    """Masked self-attention, attention to the source, feed-forward network (right)."""

    def __init__(self, d_model, d_ff, heads, dropout):
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, heads)
        self.cross_attention = MultiHeadAttention(d_model, heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        norms = (nn.LayerNorm(d_model) for _ in range(3))
        self.norm_1, self.norm_2, self.norm_3 = norms
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask, seen) -> "batch target d_model":
        x = self.norm_1(x + self.dropout(self.self_attention(x, x, x, mask)))
        x = self.norm_2(x + self.dropout(self.cross_attention(x, memory, memory, seen)))
        return self.norm_3(x + self.dropout(self.feed_forward(x)))


class Transformer(nn.Module):
    """The whole model: source and target in, logits of every next target token out."""

    def __init__(self, symbols, d_model=512, d_ff=2048, heads=8, layers=6, dropout=0.1):
        super().__init__()
        self.embedding = nn.Embedding(symbols, d_model)
        self.generator = nn.Linear(d_model, symbols, bias=False)
        self.generator.weight = self.embedding.weight  # one matrix (section 3.4)
        shape = d_model, d_ff, heads, dropout
        self.encoder = nn.ModuleList(EncoderLayer(*shape) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(*shape) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        for name, parameter in self.named_parameters():
            if "embedding" in name:
                nn.init.normal_(parameter, std=d_model**-0.5)
            elif parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def embed(self, tokens) -> "batch token d_model":
        """Embedding times √d_model, plus position, then dropout (3.4, 3.5, 5.4)."""
        x = self.embedding(tokens)
        return self.dropout(x * math.sqrt(x.shape[-1]) + sinusoids(*x.shape[1:]).to(x))

    def encode(self, source) -> ("batch source d_model", "batch 1 source"):
        """Read the source: its tokens in context, and which of them are real."""
        mask = (source != PAD).unsqueeze(1)  # true where one may look
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x, mask)
        return x, mask

    def decode(self, target, memory, memory_mask) -> "batch target vocabulary":
        """Read the target so far and the source: the logits of what comes next."""
        length = target.shape[1]
        causal = torch.ones(length, length, device=target.device).tril().bool()
        mask = causal & (target != PAD).unsqueeze(1)
        x = self.embed(target)
        for layer in self.decoder:
            x = layer(x, memory, mask, memory_mask)
        return self.generator(x)

    def forward(self, source, target) -> "batch target vocabulary":
        return self.decode(target, *self.encode(source))


# ---- Training (section 5), and writing ----
def smoothed_loss(logits, target, epsilon=0.1):
    """The cross-entropy with smoothed targets, summed over tokens, not padding."""
    right, wrong = 1 - epsilon, epsilon / (logits.shape[-1] - 1)
    targets = torch.full_like(logits, wrong).scatter(1, target.unsqueeze(1), right)
    loss = -(targets * logits.log_softmax(-1)).sum(-1)
    return loss[target != PAD].sum()


def train(model, batches, steps, d_model, warmup=4000):
    """Train as the paper does: Adam, a rate that rises and falls, smoothed targets."""
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9)
    losses = []
    model.train()
    for step, (source, target) in zip(range(1, steps + 1), batches):
        rate = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        optimizer.param_groups[0]["lr"] = rate  # equation 3
        logits = model(source, target[:, :-1])  # all but the last token, to predict
        right = target[:, 1:]  # all but the first
        total = smoothed_loss(logits.flatten(0, 1), right.flatten())
        loss = total / (right != PAD).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step}: loss {losses[-1]:.3f}", flush=True)
    model.eval()
    return losses


@torch.no_grad()
def greedy(model, source, max_length) -> "batch token":
    """Write by taking the likeliest token, again and again, until EOS."""
    state = model.encode(source)
    target = source.new_full((len(source), 1), BOS)
    done = target[:, 0] == EOS
    while target.shape[1] <= max_length and not done.all():
        token = model.decode(target, *state)[:, -1].argmax(-1).masked_fill(done, PAD)
        done = done | (token == EOS)
        target = torch.cat([target, token.unsqueeze(1)], dim=1)
    return target[:, 1:]


# ---- The task: dates ----
SYMBOLS = string.ascii_letters + string.digits + " ,/年月日火水木金土曜"
NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, EOS + 1)}


def date_pair(draw, held_out):
    """A day from 1900 to 2099 in English and in Japanese; every tenth is held out."""
    tenth = 0 if held_out else draw.randint(1, 9)
    day = datetime.date.fromordinal(10 * draw.randrange(69_360, 76_664) + tenth)
    y, m, d, weekday = day.year, day.month, day.day, "月火水木金土日"[day.weekday()]
    forms = [f"{d} {day:%B} {y}", f"{day:%B} {d}, {y}", f"{y}/{m}/{d}"]
    english, name = draw.choice(forms), draw.choice(["", f"{day:%A}, "])
    return name + english, f"{y}年{m}月{d}日" + f"{weekday}曜日" * bool(name)


def encode(texts, ends=False) -> "batch token":
    """Number the characters, a text a row; a target stands between BOS and EOS."""
    rows = [[BOS] * ends + [NUMBERS[c] for c in text] + [EOS] * ends for text in texts]
    return nn.utils.rnn.pad_sequence(list(map(torch.tensor, rows)), batch_first=True)


def decode(row: "token"):
    """Read ids as a text."""
    return "".join(SYMBOLS[token - EOS - 1] for token in row.tolist() if token > EOS)


def batches(seed, size=64, held_out=False):
    """Sources and targets without end."""
    draw = random.Random(seed)
    while True:
        english, japanese = zip(*(date_pair(draw, held_out) for _ in range(size)))
        yield encode(english), encode(japanese, ends=True)


def main(steps=1000):
    """Train a small Transformer, count right answers on held-out days, show three."""
    torch.manual_seed(0)
    model = Transformer(len(NUMBERS) + 3, d_model=64, d_ff=256, heads=4, layers=2)
    train(model, batches(seed=1), steps, d_model=64, warmup=400)
    source, target = next(batches(seed=2, size=500, held_out=True))
    pairs = zip(greedy(model, source, target.shape[1]), target)
    right = [decode(written) == decode(true) for written, true in pairs]
    print(f"{sum(right)} of {len(right)} days that it never saw are right")
    for text in ("2025/3/4", "March 4, 2025", "Tuesday, 4 March 2025"):
        print(text, "→", decode(greedy(model, encode([text]), 20)[0]))


if __name__ == "__main__":
    main()
