"""Exercises of chapter 9: the loss of teacher forcing, and greedy decoding."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm import seq2seq
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.inside import Inside
from minitfm.exercises.engine.models import filled, labelled, unevenly_labelled
from minitfm.exercises.engine.plug import plugged
from minitfm.rnn import RNN
from minitfm.seq2seq import Seq2Seq

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter("seq2seq", asks="shift masked_loss source_vector unroll")
progress = chapter.progress


def shift_reference(target: Tensor) -> tuple[Tensor, Tensor]:
    """What the package's `teacher_forcing_loss` gives the model, and what it compares
    the logits with.
    """
    return target[:, :-1], target[:, 1:]


def _target(draw: Draw, batch: int, token: int) -> tuple[Tensor]:
    """Rows <bos> … <eos>, then padding."""
    target = draw.tokens(batch, token + 1, 14)
    target = torch.where(target > 0, target + 2, target)
    length = (target > 0).sum(1)
    target[torch.arange(batch), length - 1] = 2
    target[:, 0] = 1
    return (target,)


shift = Exercise(
    chapter,
    "shift",
    difficulty=1,
    minutes=4,
    doc="target (batch, token), whole numbers -> read, predict, each (batch, token - 1)",
    solution="""def shift(target):
    read = target[:, :-1]
    predict = target[:, 1:]
    return read, predict""",
    package=shift_reference,
    inputs=_target,
    special=lambda draw: [
        Case(
            (F.pad(_target(draw, 3, 4)[0], (0, 2)),),
            (),
            "where all rows end in padding",
            {"batch": 3, "token": 7},
        )
    ],
    results=[("read", "batch token-1"), ("predict", "batch token-1")],
    gradients=False,
    mistakes="""
target not shifted: predict = target[:, 1:] => predict = target[:, :-1]
not shifted, and <bos> missing: read = target[:, :-1] => read = target[:, 1:]
shifted the wrong way: return read, predict => return predict, read
nothing cut off: target[:, :-1] => target
+ target[:, 1:] => target
last token read: read = target[:, :-1] => read = target
<bos> predicted: predict = target[:, 1:] => predict = target
rolled round: target[:, :-1] => target
+ target[:, 1:] => target.roll(-1, 1)
<eos> lost: read = target[:, :-1] => read = target[:, :-2]
+ predict = target[:, 1:] => predict = target[:, 1:-1]
<bos> not read: read = target[:, :-1] => read = target[:, 1:-1]
+ predict = target[:, 1:] => predict = target[:, 2:]
two ahead: read = target[:, :-1] => read = target[:, :-2]
+ predict = target[:, 1:] => predict = target[:, 2:]
shifted along the batch: target[:, :-1] => target[:-1]
+ target[:, 1:] => target[1:]
ignored padding marked: predict = target[:, 1:] => predict = target[:, 1:].masked_fill(target[:, 1:] == 0, -100)
<bos> put in front again: read = target[:, :-1] => read = torch.cat([torch.ones_like(target[:, :1]), target[:, :-1]], 1)
<bos> put in front of everything: read = target[:, :-1] => read = torch.cat([torch.ones_like(target[:, :1]), target], 1)
+ predict = target[:, 1:] => predict = target
both without their ends: target[:, :-1] => target[:, 1:-1]
+ target[:, 1:] => target[:, 1:-1]
<eos> taken out by its value: read = target[:, :-1] => read = target.masked_fill(target == 2, 0)[:, :-1]
rolled, and cut at the wrong end: predict = target[:, 1:] => predict = target.roll(-1, 1)[:, 1:]
ends with a forced <bos>: predict = target[:, 1:] => predict = torch.cat([torch.ones_like(target[:, :1]), target[:, 2:]], 1)
<bos> read at every place: read = target[:, :-1] => read = torch.ones_like(target[:, :-1])
predicted in reverse: predict = target[:, 1:] => predict = target[:, 1:].flip(1)
ids raised by 1: predict = target[:, 1:] => predict = target[:, :-1] + 1
both ends cut off: predict = target[:, 1:] => predict = target[:, 1:-1]
both ends cut off what is read: read = target[:, :-1] => read = target[:, 1:-1]
""",
)


def last_state_reference(output: Tensor, mask: Tensor) -> Tensor:
    """Row by row: the real outputs, and the last of them."""
    return torch.stack([row[real][-1] for row, real in zip(output, mask)])


def _more_padding(draw: Draw) -> list[Case]:
    mask = F.pad(draw.tokens(4, 4), (0, 2)) != 0
    return [
        Case((draw.normal(4, 6, 3), mask), (), "with padding in every row"),
        Case(
            (draw.normal(4, 4, 4), mask[:, :4]), (), "with as many sentences as tokens"
        ),
    ]


last_state = Exercise(
    chapter,
    "last_state",
    difficulty=2,
    minutes=8,
    doc="output (batch, token, d_hidden), mask (batch, token), True where a token is real -> (batch, d_hidden)",
    solution="""def last_state(output, mask):
    last = mask.sum(1) - 1
    return output[torch.arange(len(output)), last]""",
    package=last_state_reference,
    inputs=lambda draw, batch, token, d_hidden: (
        draw.normal(batch, token, d_hidden),
        (draw.tokens(batch, token) != 0).roll(1, 0),  # the longest is not the first
    ),
    special=_more_padding,
    mistakes="""
state of the padding: output[torch.arange(len(output)), last] => output[:, -1]
state of the first token: output[torch.arange(len(output)), last] => output[:, 0]
column one too far: mask.sum(1) - 1 => mask.sum(1)
last token missing: mask.sum(1) - 1 => (mask.sum(1) - 2).clamp(min=0)
mask inverted: mask.sum(1) => (~mask).sum(1)
longest sentence for all: mask.sum(1) - 1 => mask.sum(1).max() - 1
first sentence's length for all: mask.sum(1) - 1 => mask[0].sum() - 1
counted along the batch: mask.sum(1) => mask.sum(0)
every end for every row: torch.arange(len(output)), last => :, last
rows for columns: torch.arange(len(output)), last => last
padding zeroed: output[torch.arange(len(output)), last] => (output * mask.unsqueeze(-1))[:, -1]
mean of the states: output[torch.arange(len(output)), last] => (output * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
sum of the states: output[torch.arange(len(output)), last] => (output * mask.unsqueeze(-1)).sum(1)
largest of the states: output[torch.arange(len(output)), last] => output.masked_fill(~mask.unsqueeze(-1), -math.inf).amax(1)
token axis kept: output[torch.arange(len(output)), last] => output[torch.arange(len(output)), last].unsqueeze(1)
gradient cut: return output[ => return output.detach()[
""",
)


class Said(nn.Module):
    """A model that says the same whatever it reads."""

    def __init__(self, logits: Tensor) -> None:
        """Remember what to say."""
        super().__init__()
        self.logits = logits

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Say it."""
        return self.logits


def masked_loss_reference(logits: Tensor, target: Tensor, pad: int = 0) -> Tensor:
    """The package's `teacher_forcing_loss` of a model that gives these logits."""
    return seq2seq.teacher_forcing_loss(
        Said(logits), target, torch.cat([target[:, :1], target], dim=1), pad
    )


def _classes_last(logits: Tensor, target: Tensor, pad: int = 0) -> Tensor:
    return F.cross_entropy(logits, target, ignore_index=pad)


def _thousands(draw: Draw) -> Case:
    logits, target = labelled(draw, 3, 4, 6)
    return Case((logits * 2000.0, target), (), "with logits in the thousands", odd=True)


def _short_first(draw: Draw) -> Case:
    logits, target = labelled(draw, 4, 5, 7)
    return Case((logits, target.flip(0)), (), "with padding in the first row")


masked_loss = Exercise(
    chapter,
    "masked_loss",
    difficulty=2,
    minutes=8,
    doc="logits (batch, token, vocabulary), target (batch, token), whole numbers -> one number",
    solution="""def masked_loss(logits, target, pad=0):
    log_probability = logits.log_softmax(-1)
    loss = -log_probability.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    real = target != pad
    return loss[real].mean()""",
    package=masked_loss_reference,
    inputs=labelled,
    special=lambda draw: [
        *unevenly_labelled(draw),
        _thousands(draw),
        _short_first(draw),
    ],
    without=["with vocabulary = 1"],
    forms=[
        """return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)"""
    ],
    mistakes="""
loss over padding: loss[real].mean() => loss.mean()
mask inverted: target != pad => target == pad
divided by all positions: loss[real].mean() => (loss * real).mean()
mean over the batch: loss[real].mean() => (loss * real).sum() / len(loss)
mean of the sentences' means: loss[real].mean() => ((loss * real).sum(1) / real.sum(1)).mean()
first sentence alone: return loss[real].mean() => return loss[0][real[0]].mean()
summed: loss[real].mean() => loss[real].sum()
padding's logits zeroed: logits.log_softmax(-1) => (logits * (target != pad).unsqueeze(-1)).log_softmax(-1)
+ loss[real].mean() => loss.mean()
pad ignored: target != pad => target != 0
sign missing: -log_probability.gather => log_probability.gather
logarithm missing: log_softmax => softmax
logarithm after the softmax: logits.log_softmax(-1) => logits.softmax(-1).log()
softmax twice: logits.log_softmax(-1) => logits.softmax(-1).log_softmax(-1)
no softmax: logits.log_softmax(-1) => logits
softmax over the tokens: log_softmax(-1) => log_softmax(1)
in bits: loss[real].mean() => loss[real].mean() / math.log(2)
gradient cut: logits.log_softmax => logits.detach().log_softmax
padding in the sum alone: return loss[real].mean() => return loss.sum() / real.sum()
length of the first row: loss[real].mean() => loss[:, : int(real[0].sum())][real[:, : int(real[0].sum())]].mean()
label smoothing: -log_probability.gather(-1, target.unsqueeze(-1)).squeeze(-1) => F.cross_entropy(logits.transpose(1, 2), target, label_smoothing=0.1, reduction='none')
shifted once more: log_probability = logits.log_softmax(-1) => logits, target = logits[:, :-1], target[:, 1:]⏎    log_probability = logits.log_softmax(-1)
""",
    wrong={"vocabulary not where cross_entropy looks": _classes_last},
)


def _sentences(draw: Draw) -> list[Case]:
    def symbols(count: int, eos: int) -> list[int]:
        return [
            draw.random.choice([symbol for symbol in range(3, 9) if symbol != eos])
            for _ in range(count)
        ]

    def attempts(eos: int) -> list[tuple[list[int], list[int]]]:
        """(written, true): right ones, and one of every way to be wrong, up to and
        beyond their ends.
        """
        true = [[*symbols(draw.random.randrange(2, 6), eos), eos] for _ in range(9)]
        spot = draw.random.randrange(len(true[1]) - 1)
        other = next(
            symbol for symbol in (3, 4, 5) if symbol not in (eos, true[1][spot])
        )
        twins = [3, *symbols(1, eos), 4, eos]
        written = [
            true[0],
            [*true[1][:spot], other, *true[1][spot + 1 :]],
            [*true[2][:-1], *symbols(1, eos), eos],
            [*true[3][:-2], eos],
            [*true[4], *symbols(2, eos)],
            [*true[5], *symbols(1, eos), eos],
            [*true[6][:-1], *symbols(3, eos)],
            [eos, *true[7][:-1]],
            [*symbols(1, eos), eos],
            [*twins[-2::-1], eos],
            true[0],
            symbols(3, eos),
        ]
        return list(zip(written, [*true, twins, true[0], [eos]]))

    def padded(rows: Iterable[list[int]], width: int, more: Sequence[int]) -> Tensor:
        return torch.tensor([(row + [*more] * width)[:width] for row in rows])

    def case(
        note: str, wider: int, eos: int | None = None, more: Sequence[int] = (0,)
    ) -> Case:
        written, true = zip(*attempts(2 if eos is None else eos))
        width = max(map(len, true))
        args = (padded(written, width + wider, (0,)), padded(true, width, more))
        return Case(
            args if eos is None else (*args, eos),
            note=note,
            sizes={"batch": len(true), "token": width},
        )

    return [
        case("with more columns written than true", 4),
        case("with as many columns", 0),
        case("with fewer columns written than true", -2),
        case("with eos = 5", 3, eos=5),
        case("with other tokens behind the true <eos>", 0, more=(4, 2, 3)),
    ]


def exact_rows_reference(written: Tensor, target: Tensor, eos: int = 2) -> Tensor:
    """The package's `exact_match` row by row, what follows <eos> replaced by
    padding.
    """
    ended = [
        (rows == eos).cumsum(1) - (rows == eos).long() > 0 for rows in (written, target)
    ]
    written, target = (
        rows.masked_fill(end, 0) for rows, end in zip((written, target), ended)
    )
    return torch.tensor(
        [
            seq2seq.exact_match(*pair) == 1
            for pair in zip(written.split(1), target.split(1))
        ]
    )


def _widths(written: Tensor, target: Tensor, eos: int = 2) -> Tensor:
    return (written == target).all(1)


exact_rows = Exercise(
    chapter,
    "exact_rows",
    difficulty=2,
    minutes=10,
    doc="written (batch, columns), target (batch, other columns), whole numbers -> (batch,), True where all is right",
    solution="""def exact_rows(written, target, eos=2):
    right = []
    for row, true in zip(written.tolist(), target.tolist()):
        true = true[: true.index(eos) + 1]
        right.append(row[: len(true)] == true)
    return torch.tensor(right)""",
    package=exact_rows_reference,
    special=_sentences,
    axes="batch",
    gradients=False,
    ones=True,
    mistakes="""
<eos> not compared: true.index(eos) + 1 => true.index(eos)
what follows <eos> compared: true[: true.index(eos) + 1] => true
+ row[: len(true)] => row
padding compared: true[: true.index(eos) + 1] => true
written row not cut: row[: len(true)] => row
beginning is enough: row[: len(true)] == true => row[: len(true)] == true[: len(row)]
order ignored: row[: len(true)] == true => sorted(row[: len(true)]) == sorted(true)
only the lengths: row[: len(true)] == true => eos in row and row.index(eos) + 1 == len(true)
any token is enough: row[: len(true)] == true => any(a == b for a, b in zip(row, true))
only the first token: row[: len(true)] == true => row[0] == true[0]
share of the tokens: row[: len(true)] == true => sum(a == b for a, b in zip(row, true)) / len(true)
eos ignored: true.index(eos) => (true + [2]).index(2)
all rows at once: torch.tensor(right) => torch.tensor(all(right))
first row alone: torch.tensor(right) => torch.tensor(right[:1])
mean taken: torch.tensor(right) => torch.tensor(right).double().mean()
""",
    wrong={"columns taken for equal": _widths},
)


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


def _pairs(draw: Draw, batch: int, source: int, target: int, pad: int = 0) -> tuple:
    model = filled(draw, Reader(9), spread=1.0)
    sources = draw.tokens(batch, source, 9)
    return model, sources, draw.tokens(batch, target + 1, 9, pad)


def _other_pairs(draw: Draw) -> list[Case]:
    sure = _pairs(draw, 4, 3, 5)
    with torch.no_grad():
        sure[0].output.bias[5] += 1e4
    sure[2][0, 1:3] = 5
    return [
        Case((*_pairs(draw, 4, 3, 6, 4), 4), (), "with pad = 4", grad=True),
        Case(sure, (), "with a token whose loss is exactly 0", grad=True),
    ]


teacher_forcing_loss = Exercise(
    chapter,
    "teacher_forcing_loss",
    difficulty=2,
    minutes=8,
    doc="source (batch, source), target (batch, target) from <bos> to <eos>, then padding -> one number",
    solution="""def teacher_forcing_loss(model, source, target, pad=0):
    logits = model(source, target[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad)""",
    package=seq2seq.teacher_forcing_loss,
    inputs=_pairs,
    special=_other_pairs,
    mistakes="""
target not shifted: model(source, target[:, :-1]) => model(source, target)
+ target[:, 1:].flatten() => target.flatten()
compared with what it read: target[:, 1:].flatten() => target[:, :-1].flatten()
shifted the wrong way: model(source, target[:, :-1]) => model(source, target[:, 1:])
+ target[:, 1:].flatten() => target[:, :-1].flatten()
loss over padding: , ignore_index=pad =>
mean over the padding: F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad) => F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad, reduction='sum') / target[:, 1:].numel()
summed: ignore_index=pad => ignore_index=pad, reduction='sum'
mean of the sentences' means: F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad) => torch.stack(⏎        [F.cross_entropy(a, b, ignore_index=pad) for a, b in zip(logits, target[:, 1:]) if (b != pad).any()]⏎    ).mean()
pad ignored: ignore_index=pad => ignore_index=0
softmax twice: logits.flatten(0, 1) => logits.softmax(-1).flatten(0, 1)
in bits: F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad) => F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad) / math.log(2)
source predicted: model(source, target[:, :-1]) => model(target, target[:, :-1])
gradient cut: logits.flatten(0, 1) => logits.detach().flatten(0, 1)
""",
)


def _models(draw: Draw) -> list[Case]:
    def case(
        note: str,
        forced: bool,
        target: int | None = None,
        network: Any = None,
        bos: int = 1,
        **same: int,
    ) -> Case:
        sizes = {**draw.sizes("batch source target"), **same}
        sizes["target"] = sizes["target"] + 4 if target is None else target
        model = filled(
            draw, Seq2Seq(11, 6, network=network or seq2seq.LSTM), spread=1.5
        )
        source = 2 + draw.tokens(sizes["batch"], sizes["source"], 9)
        tokens = 2 + draw.tokens(sizes["batch"], sizes["target"], 9)
        tokens[:, 0] = bos
        return Case(
            (model, source.where(source > 2, 0), tokens.where(tokens != 2, 0), forced),
            (),
            note,
            sizes,
        )

    ending = case("writing freely, <eos> at every step", False)
    with torch.no_grad():
        ending.args[0].generator.bias[2] += 100.0
    return [
        case("fed with the truth", True),
        case("writing freely", False),
        case("fed with the truth", True, network=RNN),
        case("writing freely", False, network=RNN),
        case("writing freely one token", False, target=2),
        case("with one sentence", False, batch=1),
        case("with a source of one token", True, source=1),
        case("writing freely 40 tokens", False, target=41),
        ending,
        case("fed with the truth, <bos> = 3", True, bos=3),
        case("writing freely, <bos> = 3", False, bos=3),
    ]


def unroll_reference(
    model: Seq2Seq, source: Tensor, target: Tensor, forced: bool
) -> Tensor:
    """The package's model, which reads the whole target at once, or its `greedy`
    without an end.
    """
    if forced:
        return model(source, target[:, :-1]).argmax(-1)
    bos = int(target[0, 0])
    return seq2seq.greedy(model, source, target.shape[1] - 1, bos=bos, eos=-1)


unroll = Exercise(
    chapter,
    "unroll",
    difficulty=3,
    minutes=15,
    doc="source (batch, source), target (batch, target), from <bos> on; forced: True or False -> (batch, target - 1)",
    solution="""def unroll(model, source, target, forced):
    state = model.start(source)
    token = target[:, 0]
    written = []
    for i in range(1, target.shape[1]):
        logits, state = model.step(token, state)
        written.append(logits.argmax(-1))
        token = target[:, i] if forced else written[-1]
    return torch.stack(written, dim=1)""",
    package=unroll_reference,
    special=_models,
    axes="batch token",
    gradients=False,
    mistakes="""
truth fed to a free run: token = target[:, i] if forced else written[-1] => token = target[:, i]
own token when forced: token = target[:, i] if forced else written[-1] => token = written[-1]
forced and free exchanged: if forced else => if not forced else
arguments exchanged: model.step(token, state) => model.step(state, token)
state not carried: logits, state = model.step => logits, _ = model.step
start symbol missing: token = target[:, 0] => token = target[:, 1]
starts with padding: token = target[:, 0] => token = torch.zeros_like(target[:, 0])
starts with 1 always: token = target[:, 0] => token = torch.ones_like(target[:, 0])
starts with the end of the source: token = target[:, 0] => token = source[:, -1]
<bos> again and again: target[:, i] if forced else written[-1] => target[:, 0]
truth one step late: target[:, i] if forced => target[:, i - 1] if forced
truth one step early: target[:, i] if forced => target[:, min(i + 1, target.shape[1] - 1)] if forced
argmax over the batch: argmax(-1) => argmax(0)
one token for all: argmax(-1) => argmax()
returned inside the loop:     return torch.stack =>         return torch.stack
least likely: argmax => argmin
last token missing: range(1, target.shape[1]) => range(1, target.shape[1] - 1)
<bos> returned: torch.stack(written, dim=1) => torch.stack([target[:, 0], *written], dim=1)
logits returned: written.append(logits.argmax(-1)) => written.append(logits)
+ else written[-1] => else logits.argmax(-1)
tokens by sentences: dim=1 => dim=0
one step too many: range(1, target.shape[1]) => range(1, target.shape[1] + 1)
+ target[:, i] if forced => target[:, min(i, target.shape[1] - 1)] if forced
the answer itself: written.append(logits.argmax(-1)) => written.append(target[:, i])
+ else written[-1] => else logits.argmax(-1)
fed token written: written.append(logits.argmax(-1)) => written.append(token)
+ else written[-1] => else logits.argmax(-1)
stops at <eos>:         token = target[:, i] if forced else written[-1] =>         token = target[:, i] if forced else written[-1]⏎        if (written[-1] == 2).all(): break
""",
)


class Writer(nn.Module):
    """A model for `greedy` that needs no training: what it writes next depends on all
    that it was given so far.
    """

    def __init__(self, seed: int, vocabulary: int, ends: float, eos: int = 2) -> None:
        """Draw its logits; <eos> gets ``ends`` more."""
        super().__init__()
        waves = torch.arange(1, vocabulary + 1).double() * (1 + seed)
        self.waves = nn.Parameter(waves, requires_grad=False)
        self.ends, self.eos = ends, eos
        self.eval()

    def start(self, source: Tensor) -> Tensor:
        """Remember the source as one number a row."""
        return (source * torch.arange(1, source.shape[1] + 1)).sum(1)

    def step(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the token into the state, and make logits of it."""
        state = (state * 31 + token * 7 + 3) % 10_007
        logits = (state.unsqueeze(1) * self.waves).sin()
        logits[:, self.eos] += self.ends
        return logits, state


def _sources(draw: Draw) -> list[Case]:
    def case(
        note: str, ends: float, max_length: int, rows: int = 0, **ids: int
    ) -> Case:
        source = draw.ids(3, 9, rows or draw.random.randrange(3, 6), 4)
        model = Writer(draw.random.randrange(100), 7, ends, ids.get("eos", 2))
        args = (model, source, max_length, *ids.values())
        return Case(args, note=note, named=len(ids))

    return [
        *(case("where sentences end", 0.3, 12) for _ in range(4)),
        case("where no sentence ends", -9.0, 5),
        case("where all end at once", 9.0, 4),
        case("with at most one token", 0.0, 1),
        case("with one sentence", 0.3, 12, rows=1),
        case("with bos = 5, eos = 4, pad = 6", 0.3, 12, rows=5, bos=5, eos=4, pad=6),
    ]


greedy = Exercise(
    chapter,
    "greedy",
    difficulty=4,
    minutes=20,
    doc="source (batch, source), whole numbers -> (batch, token), as many columns as the longest sentence needs",
    solution="""def greedy(model, source, max_length, bos=1, eos=2, pad=0):
    state = model.start(source)
    token = torch.full((len(source),), bos)
    done = torch.zeros(len(source), dtype=torch.bool)
    written = []
    while len(written) < max_length and not done.all():
        logits, state = model.step(token, state)
        token = logits.argmax(-1).masked_fill(done, pad)
        done = done | (token == eos)
        written.append(token)
    return torch.stack(written, dim=1)""",
    package=seq2seq.greedy,
    special=_sources,
    axes="batch token",
    gradients=False,
    mistakes="""
starts with 1 always: (len(source),), bos) => (len(source),), 1)
ends with 2 always: token == eos => token == 2
fills with 0 always: masked_fill(done, pad) => masked_fill(done, 0)
no argument used: (len(source),), bos) => (len(source),), 1)
+ token == eos => token == 2
+ masked_fill(done, pad) => masked_fill(done, 0)
stops with the first sentence: not done.all() => not done.any()
never stops early:  and not done.all() =>
writes on after the end: .masked_fill(done, pad) =>
state not carried: logits, state = model.step => logits, _ = model.step
starts with <eos>: (len(source),), bos) => (len(source),), eos)
starts with padding: (len(source),), bos) => (len(source),), pad)
<bos> returned: torch.stack(written, dim=1) => torch.stack([torch.full((len(source),), bos), *written], dim=1)
<eos> replaced by padding: token = logits.argmax(-1).masked_fill(done, pad)⏎        done = done | (token == eos) => token = logits.argmax(-1)⏎        done = done | (token == eos)⏎        token = token.masked_fill(done, pad)
one token too many: len(written) < max_length => len(written) <= max_length
least likely: argmax => argmin
ends forgotten: done = done | (token == eos) => done = token == eos
<bos> again and again: model.step(token, state) => model.step(torch.full((len(source),), bos), state)
tokens by sentences: dim=1 => dim=0
""",
)


def _readers(draw: Draw) -> list[Case]:
    def case(
        note: str,
        layers: int,
        grad: bool = False,
        dtype: torch.dtype = torch.float64,
        short_first: bool = False,
    ) -> Case:
        sizes = draw.sizes("batch source d_hidden")
        sizes["source"] += 1
        model = filled(draw, Seq2Seq(11, sizes["d_hidden"], layers=layers)).to(dtype)
        source = draw.tokens(sizes["batch"], sizes["source"], 11)
        source = source.flip(0) if short_first else source
        sizes["layers"], odd = layers, dtype == torch.float32
        return Case((model, source), (), note, sizes, grad, odd=odd)

    return [
        case("with one layer", 1),
        case("with two layers", 2),
        case("in float32", 2, dtype=torch.float32),
        case("gradients", 2, grad=True),
        case("with padding in the first row", 1, short_first=True),
    ]


def _translators(draw: Draw) -> list[Case]:
    def case(note: str, layers: int, grad: bool = False) -> Case:
        sizes = draw.sizes("batch source target d_hidden")
        model = filled(draw, Seq2Seq(11, sizes["d_hidden"], layers=layers))
        source, target = (
            draw.tokens(sizes["batch"], sizes[name], 11)
            for name in ("source", "target")
        )
        return Case((model, source, target), (), note, sizes, grad)

    return [
        case("in the whole model", 1),
        case("gradients of the whole model", 2, grad=True),
    ]


_encoder = Exercise(
    None,
    "source_vector",
    words=chapter.words["source_vector"],
    difficulty=2,
    minutes=8,
    doc="source (batch, source), whole numbers -> (batch, 2 * layers * d_hidden)",
    solution="""def source_vector(model, source):
    mask = source != 0
    x = model.source_embedding(source)
    output, (h, c) = model.encoder(x, mask)
    return torch.cat([h.flatten(1), c.flatten(1)], dim=1)""",
    package=Seq2Seq.encode,
    special=_readers,
    axes="batch number",
    mistakes="""
padding read: model.encoder(x, mask) => model.encoder(x)
mask inverted: source != 0 => source == 0
mask with an axis too many: source != 0 => (source != 0).unsqueeze(1)
memory c left out: [h.flatten(1), c.flatten(1)] => [h.flatten(1)]
state h left out: [h.flatten(1), c.flatten(1)] => [c.flatten(1)]
c before h: [h.flatten(1), c.flatten(1)] => [c.flatten(1), h.flatten(1)]
layer by layer: torch.cat([h.flatten(1), c.flatten(1)], dim=1) => torch.cat([h, c], dim=2).flatten(1)
only the top layer: h.flatten(1), c.flatten(1) => h[:, -1], c[:, -1]
only the bottom layer: h.flatten(1), c.flatten(1) => h[:, 0], c[:, 0]
outputs taken for h: output, (h, c) = model => h, c = model
last output taken: torch.cat([h.flatten(1), c.flatten(1)], dim=1) => output[:, -1]
h and c added: torch.cat([h.flatten(1), c.flatten(1)], dim=1) => h.flatten(1) + c.flatten(1)
target's embedding: model.source_embedding => model.target_embedding
decoder reads the source: model.encoder => model.decoder
gradient cut: torch.cat([h.flatten(1), c.flatten(1)], dim=1) => torch.cat([h.flatten(1), c.flatten(1)], 1).detach()
h[-1] of the batch: [h.flatten(1), c.flatten(1)] => [h[-1], c[-1]]
+ dim=1) => dim=-1)
stacked: torch.cat([h.flatten(1), c.flatten(1)], dim=1) => torch.stack([h.flatten(1), c.flatten(1)], 1)
layers not flattened: h.flatten(1), c.flatten(1) => h, c
joined along the batch: torch.cat([h.flatten(1), c.flatten(1)], dim=1) => torch.cat([h, c]).flatten(1)
last output for h: [h.flatten(1), c.flatten(1)] => [output[:, -1], c.flatten(1)]
last output for h, top layer of c: [h.flatten(1), c.flatten(1)] => [output[:, -1], c[:, -1]]
""",
)


source_vector = Inside(
    chapter,
    "source_vector",
    difficulty=2,
    minutes=8,
    alone=_encoder,
    part="encode",
    call=lambda model, source, target: model(source, target),
    models=_translators,
    axes="batch target vocabulary",
)
