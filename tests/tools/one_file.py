"""Make `transformer_2017.py`, the whole model in one file, out of the package: `python -m tests.tools.one_file`.

Each definition is taken from the lesson that teaches it. Of its annotations the shapes stay, as plain strings, as far
as they fit in a line; of its docstring the first sentence; refusals of wrong arguments go. Then what the paper does not
have (pre-norm, other positions, two vocabularies) or one file does not need is cut out by the replacements listed
below. Each has to fit exactly once: when a lesson changes, this script makes the file anew or names the replacement
that no longer fits. A line `<lesson.name>` stands for the body of that function.
"""

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "transformer_2017.py"
LONGEST = 250  # lines: one sitting

BEGIN = '''\
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
'''

END = '''
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
'''

# What is taken, by heading and lesson; of a class after a colon the methods that stay, all if there is no colon.
PARTS = {
    "Attention (section 3.2)": {
        "attention": ["scaled_dot_product_attention"],
        "multihead": ["MultiHeadAttention: __init__ forward"],
    },
    "Feed-forward network and positions (sections 3.3, 3.5)": {
        "layers": ["FeedForward"],
        "positional": ["sinusoids"],
    },
    "The model (Figure 1)": {
        "transformer": [
            "EncoderLayer",
            "DecoderLayer",
            "Transformer: __init__ embed encode read_target forward",
        ],
    },
    "Training (section 5), and writing": {
        "training": ["smoothed_loss", "train"],
        "seq2seq": ["greedy"],
    },
}

SHAPE = "d_model, d_ff, heads, dropout"
ONE_LAYER = [
    (", config, rotate=None)", f", {SHAPE})"),
    ("attention_layer(config, rotate)", "MultiHeadAttention(d_model, heads)"),
    ("feed_forward_layer(config)", "FeedForward(d_model, d_ff)"),
    (
        "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))",
        "x = self.norm_1(x + self.dropout(self.self_attention(x, x, x, mask)))",
    ),
]
RESIDUALS = "        self.residual_1 = residual_layer(config)\n        self.residual_2 = residual_layer(config)\n"
DROPOUT = "        self.dropout = nn.Dropout(dropout)\n"
REPLACEMENTS = {
    "scaled_dot_product_attention": [
        (", mask=None", ", mask"),
        ("    return attention_weights(query, key, mask) @ value", "    <attention.attention_weights>\n    <attention.masked_softmax>"),
    ],
    "attention_weights": [
        ("d_k = query.shape[-1]\n", ""),
        ("math.sqrt(d_k)", "math.sqrt(query.shape[-1])"),
        ("return masked_softmax(scores, mask)\n", ""),
    ],
    "masked_softmax": [
        ("if mask is None:\n    return scores.softmax(-1)\n", ""),
        ("check_mask(mask, scores.shape)\n", ""),
        ("return weights.where(mask, 0.0)", "return weights.where(mask, 0.0) @ value  # zeros where a query may see nothing"),
    ],
    "MultiHeadAttention": [
        (", d_k=None, d_v=None, *, bias=False, dropout=0.0, rotate=None)", ")"),
        ("        self.d_k = d_k or d_model // heads\n        self.d_v = d_v or d_model // heads\n        self.rotate = rotate\n", ""),
        ("query = nn.Linear(d_model, heads * self.d_k, bias=bias)", "query = nn.Linear(d_model, d_model, bias=False)"),
        ("key = nn.Linear(d_model, heads * self.d_k, bias=bias)", "key = nn.Linear(d_model, d_model, bias=False)"),
        ("value = nn.Linear(d_model, heads * self.d_v, bias=bias)", "value = nn.Linear(d_model, d_model, bias=False)"),
        ("output = nn.Linear(heads * self.d_v, d_model, bias=bias)", "output = nn.Linear(d_model, d_model, bias=False)"),
        ("        self.dropout = nn.Dropout(dropout)\n", ""),
        (", mask=None", ", mask"),
        ("Attend ``heads`` times in smaller spaces, concatenate, project (section 3.2.2).", "Attend several times in smaller spaces, concatenate, project (3.2.2)."),
        ('        """Look up ``value`` by ``key`` with ``query``, in every head at once."""\n', ""),
        ("q = split_heads(self.query(query), self.heads)", "q = self.split(self.query(query))"),
        ("k = split_heads(self.key(key), self.heads)", "k = self.split(self.key(key))"),
        ("v = split_heads(self.value(value), self.heads)", "v = self.split(self.value(value))"),
        ("    def forward", "    def split(self, x):\n        <multihead.split_heads>\n\n    def forward"),
        ("        if self.rotate is not None:\n            q, k = self.rotate(q), self.rotate(k)\n", ""),
        ("        mask = None if mask is None else mask.unsqueeze(-3)  # the same for all heads\n", ""),
        ("return self.output(merge_heads(self.attend(q, k, v, mask)))", "x = scaled_dot_product_attention(q, k, v, mask.unsqueeze(-3))\n        <multihead.merge_heads>"),
    ],
    "split_heads": [
        ("batch, token, d_heads = x.shape\n", ""),
        ("return x.view(batch, token, heads, d_heads // heads)", "return x.unflatten(-1, (self.heads, -1))"),
    ],
    "merge_heads": [
        ("batch, heads, token, d_head = x.shape\n", ""),
        ("return x.transpose(1, 2).reshape(batch, token, heads * d_head)", "return self.output(x.transpose(1, 2).flatten(2))"),
    ],
    "FeedForward": [
        (": max(0, xW1 + b1)W2 + b2 (equation 2).", " (equation 2)."),
        (", *, dropout=0.0", ""),
        ("        self.dropout = nn.Dropout(dropout)\n", ""),
        ('        """Work on each position by itself."""\n', ""),
        ("self.dropout(torch.relu(self.inner(x)))", "torch.relu(self.inner(x))"),
    ],
    "sinusoids": [
        (", base=10000.0", ""),
        ("    exact = torch.float64\n", ""),
        ('dtype=exact, device="cpu").unsqueeze', "dtype=torch.float64).unsqueeze"),
        ('dtype=exact, device="cpu")\n', "dtype=torch.float64)\n"),
        ("    frequency = base ** (-pair / d_model)\n", ""),
        ("position * frequency", "position * 10_000.0 ** (-pair / d_model)"),
        ("The paper's table: PE(pos, 2i) = sin(pos / base^(2i/d_model)), PE(pos, 2i+1) = cos of the same (section 3.5).", "PE(pos, 2i) = sin(pos / 10000^(2i/d_model)); PE(pos, 2i+1) = cos of the same."),
    ],
    "EncoderLayer": [
        *ONE_LAYER,
        (RESIDUALS, "        self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)\n" + DROPOUT),
        ('        """Let every source token look at every source token that ``mask`` leaves visible."""\n', ""),
        ("return self.residual_2(x, self.feed_forward)", "return self.norm_2(x + self.dropout(self.feed_forward(x)))"),
    ],
    "DecoderLayer": [
        *ONE_LAYER,
        ("cross_attention = attention_layer(config)", "cross_attention = MultiHeadAttention(d_model, heads)"),
        (RESIDUALS + "        self.residual_3 = residual_layer(config)\n", "        norms = (nn.LayerNorm(d_model) for _ in range(3))\n        self.norm_1, self.norm_2, self.norm_3 = norms\n" + DROPOUT),
        ("x, memory, mask, memory_mask)", "x, memory, mask, seen)"),
        (", feed-forward network (Figure 1, right).", ", feed-forward network (right)."),
        ('        """Look back at the target so far, then at the encoder\'s ``memory`` of the source."""\n', ""),
        ("self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))", "self.norm_2(x + self.dropout(self.cross_attention(x, memory, memory, seen)))"),
        ("return self.residual_3(x, self.feed_forward)", "return self.norm_3(x + self.dropout(self.feed_forward(x)))"),
    ],
    "Transformer": [
        (": tokens of a source and a target in, logits of each next target token out (Figure 1).", ": source and target in, logits of every next target token out."),
        (", config)", ", symbols, d_model=512, d_ff=2048, heads=8, layers=6, dropout=0.1)"),
        ("        self.config = config\n        target_vocabulary = config.target_vocabulary or config.vocabulary\n        one_vocabulary = config.target_vocabulary is None\n", ""),
        ("source_embedding = nn.Embedding(config.vocabulary, config.d_model)", "embedding = nn.Embedding(symbols, d_model)"),
        ("        self.target_embedding = (\n            self.source_embedding\n            if config.tied and one_vocabulary\n            else nn.Embedding(target_vocabulary, config.d_model)\n        )\n", ""),
        ("config.d_model, target_vocabulary, bias=False)", "d_model, symbols, bias=False)"),
        ("        if config.tied:  # one matrix, read in both directions (section 3.4)\n            self.generator.weight = self.target_embedding.weight\n", "        self.generator.weight = self.embedding.weight  # one matrix (section 3.4)\n"),
        ("        self.source_positions = absolute_positions(config)\n        self.target_positions = absolute_positions(config)\n", ""),
        ("self.encoder, self.decoder = Encoder(config), Decoder(config)", f"shape = {SHAPE}\n        self.encoder = nn.ModuleList(EncoderLayer(*shape) for _ in range(layers))\n        self.decoder = nn.ModuleList(DecoderLayer(*shape) for _ in range(layers))"),
        ("nn.Dropout(config.dropout)", "nn.Dropout(dropout)"),
        ("std=config.d_model**-0.5", "std=d_model**-0.5"),
        (' in name or "generator" in name:', " in name:"),
        ('elif name.endswith("weight"):', "elif parameter.dim() > 1:"),
        ('name.endswith(("inner.bias", "outer.bias"))', 'name.endswith("bias")'),
        (", embedding, positions)", ")"),
        ("Turn ids into vectors: embedding times √d_model, plus position, then dropout (sections 3.4, 3.5, 5.4).", "Embedding times √d_model, plus position, then dropout (3.4, 3.5, 5.4)."),
        ("Read the source: its tokens in context (the decoder's memory), and which of them are real.", "Read the source: its tokens in context, and which of them are real."),
        ("        d_model = self.config.d_model\n        return self.dropout(positions(embedding(tokens) * math.sqrt(d_model)))", "        x = self.embedding(tokens)\n        return self.dropout(x * math.sqrt(x.shape[-1]) + sinusoids(*x.shape[1:]).to(x))"),
        ("padding_mask(source)", "(source != PAD).unsqueeze(1)  # true where one may look"),
        ("embed(source, self.source_embedding, self.source_positions)", "embed(source)"),
        ("        return self.encoder(x, mask), mask", "        for layer in self.encoder:\n            x = layer(x, mask)\n        return x, mask"),
        ("read_target(", "decode("),
        ('"batch target d_model"', '"batch target vocabulary"'),
        ('"""Read the target so far and look at the source: what the generator makes logits of."""', '"""Read the target so far and the source: the logits of what comes next."""'),
        ("        causal = causal_mask(target.shape[1], device=target.device)\n", "        length = target.shape[1]\n        causal = torch.ones(length, length, device=target.device).tril().bool()\n"),
        ("padding_mask(target)", "(target != PAD).unsqueeze(1)"),
        ("embed(target, self.target_embedding, self.target_positions)", "embed(target)"),
        ("        return self.decoder(x, memory, mask, memory_mask)", "        for layer in self.decoder:\n            x = layer(x, memory, mask, memory_mask)\n        return self.generator(x)"),
        ('        """The logits of every next target token at once, given the true ones before it."""\n', ""),
    ],
    "paper_rate": [("return d_model", "rate = d_model")],
    "smoothed_targets": [
        ("target_probabilities(epsilon, vocabulary, variant)", "1 - epsilon, epsilon / (logits.shape[-1] - 1)"),
        ("targets = torch.full((len(target), vocabulary), wrong, dtype=torch.float64, device=target.device)\n", ""),
        ('if variant == "annotated":\n    targets[:, pad] = 0.0\n', ""),
        ("return targets.scatter", "targets = torch.full_like(logits, wrong).scatter"),
    ],
    "smoothed_loss": [
        (', variant="tensor2tensor", pad=0', ""),
        ("between the smoothed targets and the model, in nats, summed over the tokens that are not padding.", "with smoothed targets, summed over tokens, not padding."),
        ("    targets = smoothed_targets(target, logits.shape[-1], epsilon, variant, pad)\n", "    <training.smoothed_targets>\n"),
        ("targets.to(logits) * ", "targets * "),
        ("target != pad", "target != PAD"),
    ],
    "train": [
        ("*, rate=1.0, ", ""),
        (", epsilon=0.1, accumulate=1, pad=0", ""),
        ("Train a model as the paper does (section 5): Adam, the rate of equation 3, and smoothed targets.", "Train as the paper does: Adam, a rate that rises and falls, smoothed targets."),
        ("losses, stream = [], iter(batches)", "losses = []"),
        ("for step in range(1, steps + 1):", "for step, (source, target) in zip(range(1, steps + 1), batches):"),
        ('        optimizer.param_groups[0]["lr"] = rate * paper_rate(step, d_model, warmup)\n', '        <training.paper_rate>\n        optimizer.param_groups[0]["lr"] = rate  # equation 3\n'),
        (
            """\
        group = list(islice(stream, accumulate))
        tokens = sum(int((target[:, 1:] != pad).sum()) for _, target in group)
        optimizer.zero_grad()
        losses.append(0.0)
        for source, target in group:
            logits = model(source, target[:, :-1])  # all but the last token, to predict
            right = target[:, 1:]  # all but the first
            total = smoothed_loss(logits.flatten(0, 1), right.flatten(), epsilon, pad=pad)
            loss = total / tokens  # of all batches of this step
            loss.backward()  # gradients add up until zero_grad
            losses[-1] += loss.item()
        optimizer.step()
""",
            """\
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
""",
        ),
    ],
    "greedy": [
        (", *, bos=1, eos=2, pad=0", ""),
        ("Write each sentence by taking the likeliest token, again and again, until <eos>.", "Write by taking the likeliest token, again and again, until EOS."),
        (
            """\
    was_training = model.training
    model.train(False)
    try:
        state = model.start(source)
        token = source.new_full((len(source),), bos)
        done = torch.zeros_like(token, dtype=torch.bool)
        written: list[Tensor] = []
        while len(written) < max_length and not done.all():
            logits, state = model.step(token, state)
            token = logits.argmax(-1).masked_fill(done, pad)
            done = done | (token == eos)
            written.append(token)
    finally:
        model.train(was_training)
    return torch.stack(written, dim=1) if written else source.new_empty(len(source), 0)
""",
            """\
    state = model.encode(source)
    target = source.new_full((len(source), 1), BOS)
    done = target[:, 0] == EOS
    while target.shape[1] <= max_length and not done.all():
        token = model.decode(target, *state)[:, -1].argmax(-1).masked_fill(done, PAD)
        done = done | (token == EOS)
        target = torch.cat([target, token.unsqueeze(1)], dim=1)
    return target[:, 1:]
""",
        ),
    ],
}  # fmt: skip


class Lesson:
    """The source of one module, from which definitions are taken."""

    def __init__(self, module: str) -> None:
        self.source = (ROOT / "minitfm" / f"{module}.py").read_bytes()
        self.starts = [0]
        for line in self.source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.named = {
            node.name: node
            for node in ast.parse(self.source).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }

    def span(self, node: ast.expr) -> tuple[int, int]:
        """The bytes of an expression."""
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def lines(self, *statements: ast.stmt) -> tuple[int, int]:
        """The bytes of all lines of statements that follow each other."""
        decorators = getattr(statements[0], "decorator_list", [])
        first = min(node.lineno for node in (statements[0], *decorators))
        return self.starts[first - 1], self.starts[statements[-1].end_lineno]

    def take(self, wanted: str) -> str:
        """A definition in its short form; ``wanted`` is its name, and of a class after a colon the methods to keep."""
        name, colon, methods = wanted.partition(":")
        node = self.named[name]
        edits: list[tuple[int, int, str]] = []
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef) and part is not node and colon and part.name not in methods.split():  # fmt: skip
                edits.append((*self.lines(part), ""))
                continue
            if isinstance(part, ast.FunctionDef):
                edits.append(self.signature(part))
            if isinstance(part, ast.FunctionDef | ast.ClassDef):
                edits += self.docstring(part)
            if isinstance(part, ast.If) and isinstance(part.body[-1], ast.Raise):
                edits.append((*self.lines(part), ""))
        begin, end = self.lines(node)
        text, done = b"", begin
        for first, last, new in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
            if first >= done:  # an edit inside of what is gone already is gone, too
                text += self.source[done:first] + new.encode()
                done = last
        return (text + self.source[done:end]).decode()

    def signature(self, function: ast.FunctionDef) -> tuple[int, int, str]:
        """One line: with all shapes as strings if they fit, else with that of the result."""
        for full in (True, False):
            short = ast.FunctionDef(
                name=function.name,
                args=ast.parse(ast.unparse(function)).body[0].args,
                body=[ast.Pass()],
                decorator_list=[],
                returns=shapes(function.returns),
            )
            arguments = short.args
            for one in (*arguments.args, *arguments.kwonlyargs):
                one.annotation = shapes(one.annotation) if full else None
            line = ast.unparse(ast.fix_missing_locations(short)).split("\n")[0]
            line = " " * function.col_offset + line.replace("'", '"')
            if len(line) <= 88:
                break
        first = self.starts[function.lineno - 1]
        return first, self.lines(function.body[0])[0], line + "\n"

    def docstring(self, node: ast.FunctionDef | ast.ClassDef) -> list[tuple[int, int, str]]:  # fmt: skip
        """Leave the first sentence; nothing of a docstring that says what __init__ makes."""
        text = ast.get_docstring(node)
        if text is None:
            return []
        if node.name == "__init__":
            return [(*self.lines(node.body[0]), "")]
        words = " ".join(text.split("\n\n")[0].split())
        return [(*self.span(node.body[0]), f'"""{words}"""')]


def shapes(annotation: ast.expr | None) -> ast.expr | None:
    """The axes of an annotated tensor or of several, as strings; nothing of other annotations."""
    if isinstance(annotation, ast.BinOp):  # … | None
        return shapes(annotation.left)
    if not isinstance(annotation, ast.Subscript):
        return None
    kind, inside = ast.unparse(annotation.value), annotation.slice
    if kind in ("Float", "Int", "Bool"):
        axes = inside.elts[1].value.replace("#", "").replace("*batch", "...").strip()
        return ast.Constant(axes) if axes else None
    if kind == "tuple":
        several = [shapes(one) for one in inside.elts]
        return ast.Tuple(several, ast.Load()) if all(several) else None
    return None


def formatted(code: str) -> str:
    """The code in the house's style."""
    command = [
        "ruff",
        "format",
        "--config",
        "format.skip-magic-trailing-comma=true",
        "-",
    ]
    return subprocess.run(
        [sys.executable, "-m", *command, "--stdin-filename", FILE.name],
        input=code.encode(), capture_output=True, check=True, cwd=ROOT,
    ).stdout.decode()  # fmt: skip


def joined(code: str) -> str:
    """Statements that the house's style breaks, each in one line, so that replacements need not know where."""
    return re.sub(r"\(\n\s+([^\n]*?),?\n\s+\)", r"(\1)", code)


def replaced(name: str, text: str) -> str:
    """The text without what the paper does not have, and with the bodies that it names."""
    for old, new in REPLACEMENTS.get(name, []):
        if text.count(old) != 1:
            raise ValueError(f"{name}: {old!r} stands there {text.count(old)} times:\n{text}")  # fmt: skip
        text = text.replace(old, new)
    return re.sub(r"( *)<(\w+)\.(\w+)>\n?", lambda found: textwrap.indent(body(*found.group(2, 3)), found[1]), text)  # fmt: skip


def body(module: str, name: str) -> str:
    """What stands in a function, without signature and docstring."""
    lesson = Lesson(module)
    statements = [
        one for one in lesson.named[name].body[1:]
        if not (isinstance(one, ast.If) and isinstance(one.body[-1], ast.Raise))
    ]  # fmt: skip
    begin, end = lesson.lines(*statements)
    return replaced(name, textwrap.dedent(joined(lesson.source[begin:end].decode())))


def made() -> str:
    """The file's text."""
    text = [BEGIN]
    for title, modules in PARTS.items():
        text.append(f"\n\n# ---- {title} ----\n")
        for module, names in modules.items():
            lesson = Lesson(module)
            text += [replaced(wanted.partition(":")[0], joined(lesson.take(wanted))) + "\n\n" for wanted in names]  # fmt: skip
    return formatted("".join([*text, END]))


def main() -> None:
    """Write the file."""
    text = made()
    FILE.write_text(text, encoding="utf-8")
    if (lines := text.count("\n")) > LONGEST:
        sys.exit(f"{lines} lines are too many; at most {LONGEST}")


if __name__ == "__main__":
    main()
