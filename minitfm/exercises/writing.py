"""Exercises of chapter 9: the loss of teacher forcing, and greedy decoding."""

import torch
from torch import Tensor, nn

from minitfm import seq2seq
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.stack import filled


class Reader(nn.Module):
    """A small model of (source, target) whose logits depend on every earlier target
    token.
    """

    def __init__(self, vocabulary: int) -> None:
        """Make it."""
        super().__init__()
        self.source, self.target = (
            nn.Embedding(vocabulary, 4),
            nn.Embedding(vocabulary, 4),
        )
        self.output = nn.Linear(4, vocabulary)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Sum what was read."""
        return self.output(
            (
                self.target(target).cumsum(1) + self.source(source).sum(1, keepdim=True)
            ).tanh()
        )


def _pairs(draw: Draw) -> list[Case]:
    def case(note: str, pad: int | None = None, grad: bool = False) -> Case:
        sizes = draw.sizes("batch source target")
        sizes["target"] += 2
        model = filled(draw, Reader(9), spread=1.0)
        source = draw.tokens(sizes["batch"], sizes["source"], 9)
        target = draw.tokens(sizes["batch"], sizes["target"], 9, pad or 0)
        return Case(
            (model, source, target) if pad is None else (model, source, target, pad),
            (),
            note,
            sizes,
            grad,
        )

    return [
        case("with the default pad"),
        case("with pad = 0", 0),
        case("with pad = 4", 4),
        case("gradients", grad=True),
    ]


LOSS = (
    "F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad)"
)

SENTENCES = """torch.stack(
        [F.cross_entropy(a, b, ignore_index=pad) for a, b in zip(logits, target[:, 1:]) if (b != pad).any()]
    ).mean()"""

teacher_forcing_loss = Exercise(
    name="teacher_forcing_loss",
    statement="Write `teacher_forcing_loss(model, source, target, pad=0)`: the mean cross-entropy, in nats, of each"
    " target token given the true ones before it. `model(source, tokens)` returns logits (batch, token, "
    "vocabulary), where position i may see the tokens up to i and predicts the next. Padding does not "
    "count.",
    stub='''def teacher_forcing_loss(model, source, target, pad=0):
    """source (batch, source), target (batch, target) from <bos> to <eos>, then padding -> one number"""
    raise NotImplementedError
''',
    reference=seq2seq.teacher_forcing_loss,
    source=f"""def teacher_forcing_loss(model, source, target, pad=0):
    logits = model(source, target[:, :-1])
    return {LOSS}""",
    names=vars(seq2seq),
    cases=_pairs,
    words="the loss is {got}, expected {want}",
    hints=(
        (
            "Write `<bos> a b <eos>` twice, one below the other, shifted by one: the upper is read, the lower is "
            "to be predicted."
        ),
        "The model reads `target[:, :-1]`; what it must predict is `target[:, 1:]`.",
        (
            "`F.cross_entropy` takes (rows, vocabulary) and (rows): flatten batch and token; `ignore_index` "
            "leaves the padding out."
        ),
    ),
    mistakes=(
        mistake(
            "target not shifted",
            """Your target is not shifted: position i reads token i and is asked for token i. Copying is all that it
            can learn. It reads `target[:, :-1]` and must predict `target[:, 1:]` (section 3.1).""",
            ("model(source, target[:, :-1])", "model(source, target)"),
            ("target[:, 1:].flatten()", "target.flatten()"),
        ),
        mistake(
            "compared with what it read",
            """You compare the logits with the very tokens that the model has just read, `target[:, :-1]`. It must
            predict the next ones, `target[:, 1:]` (section 3.1).""",
            ("target[:, 1:].flatten()", "target[:, :-1].flatten()"),
        ),
        mistake(
            "shifted the wrong way",
            """Your shift goes backwards: the model reads `target[:, 1:]` and is asked for the token **before**. It
            reads `target[:, :-1]` and predicts `target[:, 1:]`.""",
            ("model(source, target[:, :-1])", "model(source, target[:, 1:])"),
            ("target[:, 1:].flatten()", "target[:, :-1].flatten()"),
        ),
        mistake(
            "loss over padding",
            """Your loss counts the padding: the model earns a low loss by predicting <pad> after the end.
            `ignore_index=pad` leaves it out of sum and mean.""",
            (", ignore_index=pad", ""),
        ),
        mistake(
            "mean over the padding",
            """You leave the padding out of the sum and still divide by all positions: short sentences get smaller
            losses. Divide by the number of real tokens, as `ignore_index=pad` does.""",
            (
                LOSS,
                LOSS.replace("pad)", "pad, reduction='sum') / target[:, 1:].numel()"),
            ),
        ),
        mistake(
            "summed",
            """You sum the losses of all tokens. The mean keeps the gradient's size the same for every batch.""",
            ("ignore_index=pad", "ignore_index=pad, reduction='sum'"),
        ),
        mistake(
            "mean of the sentences' means",
            """You average within each sentence first and then over sentences: a token of a short sentence weighs
            more. Here each token counts the same.""",
            (LOSS, SENTENCES),
        ),
        mistake(
            "pad ignored",
            """You leave out the token 0 always. The id of the padding is the argument `pad`, which is 0 only by
            default.""",
            ("ignore_index=pad", "ignore_index=0"),
        ),
        mistake(
            "softmax twice",
            """You take the softmax first. `F.cross_entropy` takes logits and does that itself; of probabilities it
            makes an almost flat loss.""",
            ("logits.flatten(0, 1)", "logits.softmax(-1).flatten(0, 1)"),
        ),
        mistake(
            "in bits",
            """Your loss is in bits, with the logarithm to base 2. Cross-entropy is in nats here: the natural
            logarithm.""",
            (LOSS, LOSS + " / math.log(2)"),
        ),
        mistake(
            "source predicted",
            """You give the model the target as its source. It reads `source` and, as far as written, the target:
            `model(source, target[:, :-1])`.""",
            ("model(source, target[:, :-1])", "model(target, target[:, :-1])"),
        ),
        mistake(
            "gradient cut",
            """The value is right, but it is a bare number: `.item()`, `.detach()` or `torch.no_grad()` has cut it
            off the model, and nothing can be learned from it.""",
            ("logits.flatten(0, 1)", "logits.detach().flatten(0, 1)"),
        ),
    ),
    difficulty=2,
    minutes=8,
)


class Writer:
    """A model for `greedy` that needs no training: what it writes next depends on all
    that it was given so far.
    """

    def __init__(self, seed: int, vocabulary: int, ends: float) -> None:
        """Draw its logits; <eos> gets ``ends`` more."""
        self.training, self.vocabulary, self.ends, self.seed = (
            False,
            vocabulary,
            ends,
            seed,
        )

    def train(self, mode: bool = True) -> None:
        """Switch dropout on or off; it has none."""
        self.training = mode

    def start(self, source: Tensor) -> Tensor:
        """Remember the source as one number a row."""
        return (source * torch.arange(1, source.shape[1] + 1)).sum(1)

    def step(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the token into the state, and make logits of it."""
        state = (state * 31 + token * 7 + 3) % 10_007
        waves = torch.arange(1, self.vocabulary + 1).double() * (1 + self.seed)
        logits = (state.unsqueeze(1) * waves).sin()
        logits[:, 2] += self.ends
        return logits, state


def _sources(draw: Draw) -> list[Case]:
    def case(note: str, ends: float, max_length: int) -> Case:
        source = draw.ids(3, 9, draw.random.randrange(3, 6), 4)
        return Case(
            (Writer(draw.random.randrange(100), 7, ends), source, max_length), note=note
        )

    return [
        *(case("where sentences end", 0.3, 12) for _ in range(4)),
        case("where no sentence ends", -9.0, 5),
        case("where all end at once", 9.0, 4),
        case("with at most one token", 0.0, 1),
    ]


GREEDY = """def greedy(model, source, max_length, bos=1, eos=2, pad=0):
    state = model.start(source)
    token = torch.full((len(source),), bos)
    done = torch.zeros(len(source), dtype=torch.bool)
    written = []
    while len(written) < max_length and not done.all():
        logits, state = model.step(token, state)
        token = logits.argmax(-1).masked_fill(done, pad)
        done = done | (token == eos)
        written.append(token)
    return torch.stack(written, dim=1)"""

NEXT = """token = logits.argmax(-1).masked_fill(done, pad)
        done = done | (token == eos)"""

greedy = Exercise(
    name="greedy",
    statement="Write `greedy(model, source, max_length, bos=1, eos=2, pad=0)`: write each sentence by taking the "
    "likeliest token, again and again. `state = model.start(source)` reads the source; `logits, state = "
    "model.step(token, state)` takes the last token of every sentence, `<bos>` at first. A sentence ends "
    "with `<eos>`, which counts, and is filled up with `pad`; stop when all have ended, or after "
    "`max_length` tokens. `<bos>` is not returned.",
    stub='''def greedy(model, source, max_length, bos=1, eos=2, pad=0):
    """source (batch, source), whole numbers -> (batch, token), as many columns as the longest sentence needs"""
    raise NotImplementedError
''',
    reference=seq2seq.greedy,
    source=GREEDY,
    cases=_sources,
    axes=("batch", "token"),
    words="token {token} is {got}, expected {want}",
    hints=(
        "Keep three things from step to step: the last tokens, the state, and which sentences have ended.",
        (
            "A sentence that has ended must write `pad` from then on: `masked_fill(done, pad)`. When may the loop stop?"
        ),
        (
            "`done = done | (token == eos)` after each step, and `while len(written) < max_length and not done.all()`."
        ),
    ),
    mistakes=(
        mistake(
            "stops with the first sentence",
            """Your loop stops as soon as one sentence has ended, and cuts off all the others: wait until
            `done.all()`.""",
            ("not done.all()", "not done.any()"),
        ),
        mistake(
            "never stops early",
            """Your loop runs on to `max_length` after all sentences have ended, and returns columns of padding.""",
            (" and not done.all()", ""),
        ),
        mistake(
            "writes on after the end",
            """Your sentences go on after their <eos>. Once `done`, a row is filled with `pad`.""",
            (".masked_fill(done, pad)", ""),
        ),
        mistake(
            "state not carried",
            """You throw the new state away: the model forgets every token but the last. `logits, state =
            model.step(token, state)`.""",
            ("logits, state = model.step", "logits, _ = model.step"),
        ),
        mistake(
            "starts with <eos>",
            """You start with <eos>. The first token that the model sees is <bos>.""",
            ("(len(source),), bos)", "(len(source),), eos)"),
        ),
        mistake(
            "starts with padding",
            """You start with <pad>. The first token that the model sees is <bos>.""",
            ("(len(source),), bos)", "(len(source),), pad)"),
        ),
        mistake(
            "<bos> returned",
            """You return <bos> as the first column. It was given, not written.""",
            (
                "torch.stack(written, dim=1)",
                "torch.stack([torch.full((len(source),), bos), *written], dim=1)",
            ),
        ),
        mistake(
            "<eos> replaced by padding",
            """Your <eos> is missing: it counts as written, and only what follows it is padding. Fill with `pad`
            **before** you look for new ends.""",
            (
                NEXT,
                NEXT.replace(".masked_fill(done, pad)", "")
                + "\n        token = token.masked_fill(done, pad)",
            ),
        ),
        mistake(
            "one token too many",
            """You write one token more than `max_length`.""",
            ("len(written) < max_length", "len(written) <= max_length"),
        ),
        mistake(
            "least likely",
            """You take the least likely token: argmin instead of argmax.""",
            ("argmax", "argmin"),
        ),
        mistake(
            "ends forgotten",
            """You remember only who ended in this very step: a sentence that has ended comes back to life. `done =
            done | (token == eos)`.""",
            ("done = done | (token == eos)", "done = token == eos"),
        ),
        mistake(
            "<bos> again and again",
            """You give the model <bos> at every step. It must get the token that was written last.""",
            (
                "model.step(token, state)",
                "model.step(torch.full((len(source),), bos), state)",
            ),
        ),
        mistake(
            "tokens by sentences",
            """Your result is (token, batch): stack along dim 1.""",
            ("dim=1", "dim=0"),
        ),
    ),
    difficulty=4,
    minutes=20,
)
