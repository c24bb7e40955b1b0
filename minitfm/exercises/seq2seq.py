"""Exercises of chapter 3: what the decoder reads, the vector, the loss without padding,
writing, and the encoder.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm import seq2seq
from minitfm.exercises.engine.answer import Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.engine.observe import Outcome
from minitfm.exercises.engine.plug import plugged
from minitfm.exercises.engine.several import Several
from minitfm.exercises.stack import filled
from minitfm.exercises.writing import greedy, teacher_forcing_loss
from minitfm.rnn import RNN
from minitfm.seq2seq import Seq2Seq

__all__ = [
    "exact_rows",
    "greedy",
    "last_state",
    "masked_loss",
    "plugged",
    "progress",
    "shift",
    "source_vector",
    "teacher_forcing_loss",
    "unroll",
]


def _targets(draw: Draw) -> list[Case]:
    def case(note: str, **same: int) -> Case:
        sizes = {**draw.sizes("batch token"), **same}
        target = draw.tokens(sizes["batch"], sizes["token"] + 1, 14)
        target = torch.where(target > 0, target + 2, target)
        length = (target > 0).sum(1)
        target[torch.arange(len(target)), length - 1] = 2
        target[:, 0] = 1
        return Case((target,), note=note, sizes=sizes)

    return [
        case("with padding"),
        case("with padding"),
        case("with one sentence", batch=1),
    ]


def shift_reference(target: Tensor) -> tuple[Tensor, Tensor]:
    """What the package's `teacher_forcing_loss` gives the model, and what it compares
    the logits with.
    """
    return target[:, :-1], target[:, 1:]


SHIFT = """def shift(target):
    read = target[:, :-1]
    predict = target[:, 1:]
    return read, predict"""

shift = Several(
    name="shift",
    statement="Write `shift(target)`: from rows of token ids `<bos> … <eos>`, then padding, make the two that teacher "
    "forcing needs: what the decoder reads, and what it must predict. At each position it has read everything up to "
    "there and must predict the token that comes next.",
    stub='''def shift(target):
    """target (batch, token), whole numbers -> read, predict, each (batch, token - 1)"""
    raise NotImplementedError
''',
    reference=shift_reference,
    source=SHIFT,
    cases=_targets,
    results=(("read", ("batch", "token")), ("predict", ("batch", "token"))),
    words="token {token} is {got}, expected {want}",
    hints=(
        "Write `<bos> 4 月 <eos>` on paper. After `<bos>` alone, which token is due? And after `<bos> 4`?",
        "Nothing comes after the last token, so it is never read; nothing asks for the first one.",
        "`target[:, :-1]` is all but the last column, `target[:, 1:]` all but the first.",
    ),
    mistakes=(
        mistake(
            "target not shifted",
            """Your target is not shifted: at every position the decoder must predict the token that it has just read.
            It would learn to copy. What is predicted is one ahead: `target[:, 1:]`.""",
            ("predict = target[:, 1:]", "predict = target[:, :-1]"),
        ),
        mistake(
            "not shifted, and <bos> missing",
            """You give `target[:, 1:]` twice: the decoder reads the very token that it must predict, and never the
            start symbol. It reads `target[:, :-1]`.""",
            ("read = target[:, :-1]", "read = target[:, 1:]"),
        ),
        mistake(
            "shifted the wrong way",
            """Your shift goes backwards: the decoder reads a token and must predict the one **before** it. The first
            token read is <bos>, the last one predicted <eos>: exchange the two.""",
            ("return read, predict", "return predict, read"),
        ),
        mistake(
            "nothing cut off",
            """You return the whole target twice. The decoder would predict what it has just read; cut the last column
            off what it reads, and the first off what it must predict.""",
            ("target[:, :-1]", "target"),
            ("target[:, 1:]", "target"),
        ),
        mistake(
            "last token read",
            """What is read still has its last column. After it nothing is left to predict, so it is never read:
            `target[:, :-1]`.""",
            ("read = target[:, :-1]", "read = target"),
        ),
        mistake(
            "<bos> predicted",
            """What is to be predicted still begins with <bos>. Nobody asks for the start symbol: it is given. The
            first token to predict is the one after it, `target[:, 1:]`.""",
            ("predict = target[:, 1:]", "predict = target"),
        ),
        mistake(
            "rolled round",
            """You roll the rows: the first token, <bos>, comes out at the end as a token to be predicted. Cut it off;
            what is read loses its last column likewise.""",
            ("target[:, :-1]", "target"),
            ("target[:, 1:]", "target.roll(-1, 1)"),
        ),
        mistake(
            "<eos> lost",
            """You cut the last column off what is to be predicted, too: in the longest rows that is <eos>, and the
            decoder never learns to stop there. Keep `target[:, 1:]` whole; <bos> belongs to what is read.""",
            ("read = target[:, :-1]", "read = target[:, :-2]"),
            ("predict = target[:, 1:]", "predict = target[:, 1:-1]"),
        ),
        mistake(
            "<bos> not read",
            """What is read begins after <bos>. But the decoder starts with the start symbol, and with nothing else to
            go by than the source: begin with column 0.""",
            ("read = target[:, :-1]", "read = target[:, 1:-1]"),
            ("predict = target[:, 1:]", "predict = target[:, 2:]"),
        ),
        mistake(
            "two ahead",
            """You ask for the token after the next. Between `target[:, :-1]` and `target[:, 1:]` there is one step, and
            one is what the decoder writes.""",
            ("read = target[:, :-1]", "read = target[:, :-2]"),
            ("predict = target[:, 1:]", "predict = target[:, 2:]"),
        ),
        mistake(
            "shifted along the batch",
            """You shift along the batch: sentence 0 is read and sentence 1 is to be predicted. Tokens stand along axis
            1: `target[:, :-1]` and `target[:, 1:]`.""",
            ("target[:, :-1]", "target[:-1]"),
            ("target[:, 1:]", "target[1:]"),
        ),
    ),
    difficulty=1,
    minutes=4,
)


def _outputs(draw: Draw) -> list[Case]:
    def case(note: str, full: bool, grad: bool = False, **same: int) -> Case:
        sizes = {**draw.sizes("batch token d_hidden"), **same}
        batch, token, d_hidden = sizes.values()
        tokens = draw.tokens(batch, token)
        if not full:
            tokens = torch.cat([tokens, torch.zeros(batch, 2, dtype=torch.long)], dim=1)
            sizes["token"] += 2
        return Case(
            (draw.normal(batch, sizes["token"], d_hidden), tokens != 0),
            (),
            note,
            sizes,
            grad,
        )

    return [
        case("with padding", True),
        case("with padding in every row", False),
        case("with as many sentences as tokens", True, batch=4, token=4),
        case("gradients", False, grad=True),
    ]


def last_state_reference(output: Tensor, mask: Tensor) -> Tensor:
    """Row by row: the real outputs, and the last of them."""
    return torch.stack([row[real][-1] for row, real in zip(output, mask)])


LAST = """def last_state(output, mask):
    last = mask.sum(1) - 1
    return output[torch.arange(len(output)), last]"""

last_state = Exercise(
    name="last_state",
    statement="Without a mask, a recurrent network such as `torch.nn.LSTM` runs on over the padding. Write "
    "`last_state(output, mask)`: from its outputs after every step take, for each sentence, the one after its last "
    "real token. `mask` is True where a token is real; padding stands at the end only, and no sentence is empty.",
    stub='''def last_state(output, mask):
    """output (batch, token, d_hidden), mask (batch, token), True where a token is real -> (batch, d_hidden)"""
    raise NotImplementedError
''',
    reference=last_state_reference,
    source=LAST,
    cases=_outputs,
    axes=("batch", "d_hidden"),
    words="number {d_hidden} of the state is {got}, expected {want}",
    hints=(
        "The last column is right for the longest sentences only. In which column does each sentence end?",
        "`mask.sum(1)` counts the real tokens of each sentence; columns are counted from 0.",
        "`output[torch.arange(batch), last]` takes one column from each row, not the same from all.",
    ),
    mistakes=(
        mistake(
            "state of the padding",
            """You take the last column. In a padded sentence that is the state after reading padding, and the more of
            it, the less is left of the sentence. Take the state after the last real token.""",
            ("output[torch.arange(len(output)), last]", "output[:, -1]"),
        ),
        mistake(
            "state of the first token",
            """You take the state after the first token. It has read nothing else; the state that has read the whole
            sentence is the last real one.""",
            ("output[torch.arange(len(output)), last]", "output[:, 0]"),
        ),
        mistake(
            "column one too far",
            """You take column n of a sentence of n tokens. Columns are counted from 0, so the last real token stands in
            column n - 1; column n is padding, or does not exist.""",
            ("mask.sum(1) - 1", "mask.sum(1)"),
            raises=True,
        ),
        mistake(
            "last token missing",
            """You take the state before the last real token. Of n tokens the last stands in column n - 1.""",
            ("mask.sum(1) - 1", "(mask.sum(1) - 2).clamp(min=0)"),
        ),
        mistake(
            "mask inverted",
            """Your mask is inverted: you count the padding. It is True where a token is **real**.""",
            ("mask.sum(1)", "(~mask).sum(1)"),
        ),
        mistake(
            "longest sentence for all",
            """You take the column in which the longest sentence ends, from every row. Each sentence has its own
            length: `mask.sum(1)`.""",
            ("mask.sum(1) - 1", "mask.sum(1).max() - 1"),
        ),
        mistake(
            "counted along the batch",
            """You count along the batch, axis 0: how many sentences have a token there. The tokens of a sentence stand
            along axis 1: `mask.sum(1)`.""",
            ("mask.sum(1)", "mask.sum(0)"),
            raises=True,
        ),
        mistake(
            "every end for every row",
            """`output[:, last]` takes **every** sentence's last column from **every** row. Pair rows with columns:
            `output[torch.arange(batch), last]`.""",
            ("torch.arange(len(output)), last", ":, last"),
        ),
        mistake(
            "rows for columns",
            """`output[last]` picks sentences: the first axis is the batch. Say for each which column it ends in:
            `output[torch.arange(batch), last]`.""",
            ("torch.arange(len(output)), last", "last"),
            raises=True,
        ),
        mistake(
            "padding zeroed",
            """You set the padding to 0 and take the last column: zeros, for every padded sentence. The state that you
            want stands further to the left.""",
            (
                "output[torch.arange(len(output)), last]",
                "(output * mask.unsqueeze(-1))[:, -1]",
            ),
        ),
        mistake(
            "mean of the states",
            """You take the mean of the real states. That is a vector of the sentence, too, but not the state in which
            the network ended.""",
            (
                "output[torch.arange(len(output)), last]",
                "(output * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)",
            ),
        ),
        mistake(
            "sum of the states",
            """You add all real states up. The last one has read everything before it already: take it alone.""",
            (
                "output[torch.arange(len(output)), last]",
                "(output * mask.unsqueeze(-1)).sum(1)",
            ),
        ),
        mistake(
            "largest of the states",
            """You take the largest number of each column of the real states. The state after the last real token is
            one of these states, as it is.""",
            (
                "output[torch.arange(len(output)), last]",
                "output.masked_fill(~mask.unsqueeze(-1), -math.inf).amax(1)",
            ),
        ),
        mistake(
            "token axis kept",
            """Your result has an axis of length 1 where the tokens were: `squeeze(1)` takes it away.""",
            (
                "output[torch.arange(len(output)), last]",
                "output[torch.arange(len(output)), last].unsqueeze(1)",
            ),
        ),
        mistake(
            "gradient cut",
            """The values are right, but cut off the network (`.detach()`, `.data`): the encoder would learn nothing
            from the decoder's mistakes.""",
            ("return output[", "return output.detach()["),
        ),
    ),
    difficulty=2,
    minutes=8,
)


def _logits(draw: Draw) -> list[Case]:
    def case(
        note: str, pad: int | None = None, spread: float = 1.0, grad: bool = False
    ) -> Case:
        sizes = draw.sizes("batch token vocabulary")
        sizes["vocabulary"] += 4
        logits = draw.normal(*sizes.values(), spread=spread)
        target = draw.tokens(
            sizes["batch"], sizes["token"], sizes["vocabulary"], pad or 0
        )
        return Case(
            (logits, target) if pad is None else (logits, target, pad),
            (),
            note,
            sizes,
            grad,
        )

    return [
        case("with the default pad"),
        case("with pad = 0", 0),
        case("with pad = 3", 3),
        case("with logits in the thousands", spread=2000.0),
        case("gradients", grad=True),
    ]


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


MASKED = """def masked_loss(logits, target, pad=0):
    log_probability = logits.log_softmax(-1)
    loss = -log_probability.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    real = target != pad
    return loss[real].mean()"""


def _classes_last(logits: Tensor, target: Tensor, pad: int = 0) -> Tensor:
    return F.cross_entropy(logits, target, ignore_index=pad)


masked_loss = Exercise(
    name="masked_loss",
    statement="Write `masked_loss(logits, target, pad=0)`: the mean cross-entropy, in nats, of the target's tokens: "
    "for each, minus the logarithm of the probability that the softmax of its logits gives it. Tokens equal to `pad` "
    "do not count, and all others count the same, in short sentences and in long ones.",
    stub='''def masked_loss(logits, target, pad=0):
    """logits (batch, token, vocabulary), target (batch, token), whole numbers -> one number"""
    raise NotImplementedError
''',
    reference=masked_loss_reference,
    source=MASKED,
    cases=_logits,
    words="the loss is {got}, expected {want}",
    hints=(
        "Three steps: logarithms of probabilities, one of them for each token, the mean of those that are real.",
        "`logits.log_softmax(-1)`, then `gather` along the last axis with `target.unsqueeze(-1)`.",
        (
            "With `real = target != pad`, `loss[real]` holds the losses of the real tokens only. `F.cross_entropy` "
            "does it all at once, with `ignore_index=pad`."
        ),
    ),
    mistakes=(
        mistake(
            "loss over padding",
            """Your loss counts the padding. Padding is easy to predict, so the loss looks low, and the shorter the
            sentences, the lower. Take the mean over `target != pad` only.""",
            ("loss[real].mean()", "loss.mean()"),
        ),
        mistake(
            "mask inverted",
            """Your mask is inverted: you take the loss of the padding alone. Real is `target != pad`.""",
            ("target != pad", "target == pad"),
        ),
        mistake(
            "divided by all positions",
            """You leave the padding out of the sum and still divide by all positions: the more padding in a batch, the
            smaller its loss. Divide by the number of real tokens, `real.sum()`.""",
            ("loss[real].mean()", "(loss * real).mean()"),
        ),
        mistake(
            "mean over the batch",
            """You divide by the number of sentences, not of tokens: the loss grows with the length of the sentences.
            Divide by `real.sum()`.""",
            ("loss[real].mean()", "(loss * real).sum() / len(loss)"),
        ),
        mistake(
            "mean of the sentences' means",
            """You average within each sentence first and then over sentences: a token of a short sentence weighs
            more. Here each token counts the same.""",
            ("loss[real].mean()", "((loss * real).sum(1) / real.sum(1)).mean()"),
        ),
        mistake(
            "summed",
            """You sum the losses of all tokens. The mean keeps the gradient's size the same for every batch.""",
            ("loss[real].mean()", "loss[real].sum()"),
        ),
        mistake(
            "padding's logits zeroed",
            """You set the logits of the padding to 0. Equal logits are no missing ones: each such position still costs
            the logarithm of the vocabulary's size. Leave its **loss** out.""",
            (
                "logits.log_softmax(-1)",
                "(logits * (target != pad).unsqueeze(-1)).log_softmax(-1)",
            ),
            ("loss[real].mean()", "loss.mean()"),
        ),
        mistake(
            "pad ignored",
            """You leave out the token 0 always. The id of the padding is the argument `pad`, which is 0 only by
            default.""",
            ("target != pad", "target != 0"),
        ),
        mistake(
            "sign missing",
            """Your loss is negative: logarithms of probabilities are. The minus makes of the likeliest the
            cheapest.""",
            ("-log_probability.gather", "log_probability.gather"),
        ),
        mistake(
            "logarithm missing",
            """You take minus the probability, without its logarithm. Cross-entropy is -log p: 0 for a sure token, and
            without bound for one held impossible.""",
            ("log_softmax", "softmax"),
        ),
        mistake(
            "logarithm after the softmax",
            """You take the logarithm of the softmax in two steps. Where a probability is too small for the machine it
            becomes 0, and its logarithm minus infinity. `log_softmax` never leaves the logarithms.""",
            ("logits.log_softmax(-1)", "logits.softmax(-1).log()"),
        ),
        mistake(
            "softmax twice",
            """You take the softmax twice. `log_softmax` and `F.cross_entropy` want logits; of probabilities they make
            an almost flat loss.""",
            ("logits.log_softmax(-1)", "logits.softmax(-1).log_softmax(-1)"),
        ),
        mistake(
            "no softmax",
            """You take the logits themselves for logarithms of probabilities. They become that by `log_softmax`: the
            probabilities of a position sum to 1.""",
            ("logits.log_softmax(-1)", "logits"),
        ),
        mistake(
            "softmax over the tokens",
            """Your softmax runs over the tokens of a sentence, axis 1. The choice at each position is among the symbols
            of the vocabulary, the last axis.""",
            ("log_softmax(-1)", "log_softmax(1)"),
        ),
        mistake(
            "vocabulary not where cross_entropy looks",
            """`F.cross_entropy` looks for the vocabulary along axis 1, where yours has the tokens. Flatten batch and
            token together first: `logits.flatten(0, 1)` and `target.flatten()`.""",
            wrong=_classes_last,
            raises=True,
        ),
        mistake(
            "in bits",
            """Your loss is in bits, with the logarithm to base 2. Cross-entropy is in nats here: the natural
            logarithm.""",
            ("loss[real].mean()", "loss[real].mean() / math.log(2)"),
        ),
        mistake(
            "gradient cut",
            """The value is right, but it is a bare number: `.item()`, `.detach()` or `torch.no_grad()` has cut it
            off the model, and nothing can be learned from it.""",
            ("logits.log_softmax", "logits.detach().log_softmax"),
        ),
    ),
    difficulty=2,
    minutes=8,
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
        ]
        return list(zip(written, [*true, twins, true[0]]))

    def padded(rows: Iterable[list[int]], width: int) -> Tensor:
        return torch.tensor([(row + [0] * width)[:width] for row in rows])

    def case(note: str, wider: int, eos: int | None = None) -> Case:
        written, true = zip(*attempts(2 if eos is None else eos))
        width = max(map(len, true))
        args = (padded(written, width + wider), padded(true, width))
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


EXACT = """def exact_rows(written, target, eos=2):
    right = []
    for row, true in zip(written.tolist(), target.tolist()):
        true = true[: true.index(eos) + 1]
        right.append(row[: len(true)] == true)
    return torch.tensor(right)"""


def _widths(written: Tensor, target: Tensor, eos: int = 2) -> Tensor:
    return (written == target).all(1)


exact_rows = Exercise(
    name="exact_rows",
    statement="Write `exact_rows(written, target, eos=2)`: for each sentence, whether the model wrote exactly the true "
    "tokens up to and with `<eos>`. Both begin after `<bos>`. What stands after a sentence's first `<eos>` does not "
    "count, be it padding or anything else; every target has its `<eos>`, a written sentence may lack it, and is wrong "
    "then. The two may differ in their number of columns. (The mean of the result is the exact match.)",
    stub='''def exact_rows(written, target, eos=2):
    """written (batch, columns), target (batch, other columns), whole numbers -> (batch,), True where all is right"""
    raise NotImplementedError
''',
    reference=exact_rows_reference,
    source=EXACT,
    cases=_sentences,
    axes=("batch",),
    words="the answer is {got}, expected {want}",
    hints=(
        "A loop over the sentences is fine: `zip(written.tolist(), target.tolist())` gives two lists of numbers each.",
        "The true sentence is `true[: true.index(eos) + 1]`, its `<eos>` included. Why must `<eos>` be compared, too?",
        "If the first `len(true)` tokens written equal it, `<eos>` and all, nothing that follows can matter.",
    ),
    mistakes=(
        mistake(
            "<eos> not compared",
            """You compare up to <eos>, but not <eos> itself: a sentence that goes on where the true one ends passes.
            `true[: true.index(eos) + 1]`.""",
            ("true.index(eos) + 1", "true.index(eos)"),
        ),
        mistake(
            "what follows <eos> compared",
            """You compare whole rows, with what stands after <eos> and with however many columns there are. Cut both
            at their first <eos>.""",
            ("true[: true.index(eos) + 1]", "true"),
            ("row[: len(true)]", "row"),
        ),
        mistake(
            "columns taken for equal",
            """You compare the two tensors as they are, but they may differ in their number of columns: the model stops
            writing when it likes. And what stands after <eos> does not count.""",
            wrong=_widths,
            raises=True,
        ),
        mistake(
            "padding compared",
            """You cut the target at its last column only: its padding must then be written, too. It ends with its
            first <eos>.""",
            ("true[: true.index(eos) + 1]", "true"),
        ),
        mistake(
            "written row not cut",
            """You cut the true sentence after its <eos>, and not the written one: whatever stands after its <eos>,
            padding for one thing, makes it wrong.""",
            ("row[: len(true)]", "row"),
        ),
        mistake(
            "beginning is enough",
            """You compare only as many tokens as were written: a sentence that has room for no more passes, though its
            end is missing.""",
            ("row[: len(true)] == true", "row[: len(true)] == true[: len(row)]"),
        ),
        mistake(
            "order ignored",
            """You compare which tokens there are, not where they stand: "1 March" would pass for "March 1".""",
            ("row[: len(true)] == true", "sorted(row[: len(true)]) == sorted(true)"),
        ),
        mistake(
            "only the lengths",
            """You compare where the sentences end, not what they say.""",
            (
                "row[: len(true)] == true",
                "eos in row and row.index(eos) + 1 == len(true)",
            ),
        ),
        mistake(
            "any token is enough",
            """One right token is enough for you. In an exact match **all** are right.""",
            ("row[: len(true)] == true", "any(a == b for a, b in zip(row, true))"),
        ),
        mistake(
            "only the first token",
            """You compare the first token only.""",
            ("row[: len(true)] == true", "row[0] == true[0]"),
        ),
        mistake(
            "share of the tokens",
            """You give the share of right tokens in each sentence: the token accuracy. For the exact match one wrong
            token spoils the sentence: the answer is True or False.""",
            (
                "row[: len(true)] == true",
                "sum(a == b for a, b in zip(row, true)) / len(true)",
            ),
        ),
        mistake(
            "eos ignored",
            """You always look for the token 2. The id of the end is the argument `eos`, which is 2 only by default.""",
            ("true.index(eos)", "(true + [2]).index(2)"),
        ),
        mistake(
            "mean taken",
            """You return the share of right sentences. Asked for is the answer for each sentence: with it one can also
            ask how the share falls as sentences grow.""",
            ("torch.tensor(right)", "torch.tensor(right).double().mean()"),
        ),
    ),
    difficulty=2,
    minutes=10,
)


def _models(draw: Draw) -> list[Case]:
    def case(
        note: str, forced: bool, target: int | None = None, network: Any = None
    ) -> Case:
        sizes = draw.sizes("batch source target")
        sizes["target"] = sizes["target"] + 4 if target is None else target
        model = filled(
            draw, Seq2Seq(11, 6, network=network or seq2seq.LSTM), spread=1.5
        )
        source = 2 + draw.tokens(sizes["batch"], sizes["source"], 9)
        tokens = 2 + draw.tokens(sizes["batch"], sizes["target"], 9)
        tokens[:, 0] = 1
        return Case(
            (model, source.where(source > 2, 0), tokens.where(tokens != 2, 0), forced),
            (),
            note,
            sizes,
        )

    return [
        case("fed with the truth", True),
        case("writing freely", False),
        case("fed with the truth", True, network=RNN),
        case("writing freely", False, network=RNN),
        case("writing freely one token", False, target=2),
    ]


def unroll_reference(
    model: Seq2Seq, source: Tensor, target: Tensor, forced: bool
) -> Tensor:
    """The package's model, which reads the whole target at once, or its `greedy`
    without an end.
    """
    if forced:
        return model(source, target[:, :-1]).argmax(-1)
    return seq2seq.greedy(model, source, target.shape[1] - 1, eos=-1)


UNROLL = """def unroll(model, source, target, forced):
    state = model.start(source)
    token = target[:, 0]
    written = []
    for i in range(1, target.shape[1]):
        logits, state = model.step(token, state)
        written.append(logits.argmax(-1))
        token = target[:, i] if forced else written[-1]
    return torch.stack(written, dim=1)"""

unroll = Exercise(
    name="unroll",
    statement="Write `unroll(model, source, target, forced)`: the likeliest token at each step, once for every target "
    "token after `<bos>`. `state = model.start(source)` reads the source; `logits, state = model.step(token, state)` "
    "reads one token of every sentence. At first that is `<bos>`, column 0 of the target; after that, if `forced`, the "
    "true token of the step before (teacher forcing), else the one just written (free running). Do not stop at "
    "`<eos>`.",
    stub='''def unroll(model, source, target, forced):
    """source (batch, source), target (batch, target), from <bos> on; forced: True or False -> (batch, target - 1)"""
    raise NotImplementedError
''',
    reference=unroll_reference,
    source=UNROLL,
    cases=_models,
    axes=("batch", "token"),
    words="token {token} is {got}, expected {want}",
    hints=(
        "Three things go from step to step: the state, the token to read next, and the list of what was written.",
        (
            "Only one line asks whether `forced`: the one that chooses the next token to read. At the step that "
            "predicts column i of the target, which column is read?"
        ),
        (
            "`for i in range(1, target.shape[1])`: step, append `logits.argmax(-1)`, then "
            "`token = target[:, i] if forced else written[-1]`."
        ),
    ),
    mistakes=(
        mistake(
            "truth fed to a free run",
            """You feed the true token even when the model runs freely. That is teacher forcing in disguise: when
            nobody knows the translation, there is no true token. Feed what was just written.""",
            ("token = target[:, i] if forced else written[-1]", "token = target[:, i]"),
        ),
        mistake(
            "own token when forced",
            """You feed what the model wrote even if `forced`. Teacher forcing gives it the true token,
            `target[:, i]`, whatever it wrote.""",
            ("token = target[:, i] if forced else written[-1]", "token = written[-1]"),
        ),
        mistake(
            "forced and free exchanged",
            """You feed the truth when the model should run freely, and its own tokens when forced: the two are
            exchanged.""",
            ("if forced else", "if not forced else"),
        ),
        mistake(
            "state not carried",
            """You throw the new state away: every step starts from the source again, and the model knows only the
            token that it reads. `logits, state = model.step(token, state)`.""",
            ("logits, state = model.step", "logits, _ = model.step"),
        ),
        mistake(
            "start symbol missing",
            """Your first token is column 1 of the target, the very token that is to be predicted. The decoder starts
            with <bos>, column 0.""",
            ("token = target[:, 0]", "token = target[:, 1]"),
        ),
        mistake(
            "starts with padding",
            """You start with the token 0, which is <pad>. The decoder starts with <bos>, column 0 of the target.""",
            ("token = target[:, 0]", "token = torch.zeros_like(target[:, 0])"),
        ),
        mistake(
            "starts with the end of the source",
            """Your first token is the last of the source. The decoder knows the source from its state; it starts with
            <bos>, column 0 of the target.""",
            ("token = target[:, 0]", "token = source[:, -1]"),
        ),
        mistake(
            "<bos> again and again",
            """You feed <bos> at every step. After the first step it is the true token's turn, or the written one's.""",
            ("target[:, i] if forced else written[-1]", "target[:, 0]"),
        ),
        mistake(
            "truth one step late",
            """When forced, your decoder reads the true tokens one step late, <bos> twice. After the step that predicts
            column i it reads column i.""",
            ("target[:, i] if forced", "target[:, i - 1] if forced"),
        ),
        mistake(
            "truth one step early",
            """When forced, your decoder reads the true tokens one step early: the token that it reads is the one to be
            predicted. After the step that predicts column i it reads column i, not i + 1.""",
            (
                "target[:, i] if forced",
                "target[:, min(i + 1, target.shape[1] - 1)] if forced",
            ),
        ),
        mistake(
            "argmax over the batch",
            """Your argmax runs over the batch, axis 0: which sentence likes a symbol most. Each sentence chooses among
            the symbols: `logits.argmax(-1)`.""",
            ("argmax(-1)", "argmax(0)"),
            raises=True,
        ),
        mistake(
            "least likely",
            """You take the least likely token: argmin instead of argmax.""",
            ("argmax", "argmin"),
        ),
        mistake(
            "last token missing",
            """You stop one step early: the last target token, <eos> in the longest rows, is never predicted. There are
            as many steps as columns after <bos>.""",
            ("range(1, target.shape[1])", "range(1, target.shape[1] - 1)"),
            raises=True,
        ),
        mistake(
            "<bos> returned",
            """You return <bos> as the first column. It was given, not written.""",
            (
                "torch.stack(written, dim=1)",
                "torch.stack([target[:, 0], *written], dim=1)",
            ),
        ),
        mistake(
            "logits returned",
            """You return the logits. Asked for are the tokens: `logits.argmax(-1)` of each step.""",
            ("written.append(logits.argmax(-1))", "written.append(logits)"),
            ("else written[-1]", "else logits.argmax(-1)"),
        ),
        mistake(
            "tokens by sentences",
            """Your result is (token, batch): stack along dim 1.""",
            ("dim=1", "dim=0"),
        ),
    ),
    difficulty=3,
    minutes=15,
)


@dataclass
class Whole(Case):
    """A call of the whole model, which also reads ``target``."""

    target: Tensor | None = None


class Inside(Exercise):
    """An exercise that grades the learner's encoder alone, and then the whole model
    with it plugged in.
    """

    def observe(
        self, candidate: Any, case: Case, seconds: float = 60.0, seed: int = 0
    ) -> Outcome:
        """Run the candidate, or the model of the case with the candidate inside."""

        def run(model: Seq2Seq, source: Tensor) -> Tensor:
            if not isinstance(case, Whole):
                return candidate(model, source)
            with plugged(encode=candidate):
                return model(source, case.target)

        return super().observe(run, case, seconds, seed)


def _readers(draw: Draw) -> list[Case]:
    def case(
        note: str,
        layers: int,
        pad: int = 0,
        grad: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> Case:
        sizes = draw.sizes("batch source d_hidden")
        sizes["source"] += 1
        model = filled(draw, Seq2Seq(11, sizes["d_hidden"], layers=layers, pad=pad)).to(
            dtype
        )
        source = draw.tokens(sizes["batch"], sizes["source"], 11, pad)
        return Case((model, source), (), note, {**sizes, "layers": layers}, grad)

    def whole(note: str, layers: int, grad: bool = False) -> Case:
        sizes = draw.sizes("batch source target d_hidden")
        model = filled(draw, Seq2Seq(11, sizes["d_hidden"], layers=layers))
        source, target = (
            draw.tokens(sizes["batch"], sizes[name], 11)
            for name in ("source", "target")
        )
        return Whole(
            (model, source), (), note, {**sizes, "layers": layers}, grad, target=target
        )

    return [
        case("with one layer", 1),
        case("with two layers", 2),
        case("with pad = 4", 1, pad=4),
        case("in float32", 2, dtype=torch.float32),
        case("gradients", 2, grad=True),
        whole("in the whole model", 1),
        whole("gradients of the whole model", 2, grad=True),
    ]


SOURCE_VECTOR = """def source_vector(model, source):
    mask = source != model.pad
    x = model.source_embedding(source)
    output, (h, c) = model.encoder(x, mask)
    return torch.cat([h.flatten(1), c.flatten(1)], dim=1)"""

source_vector = Inside(
    name="source_vector",
    statement="Write the encoder, `source_vector(model, source)`: the one vector that the decoder gets. Look the "
    "tokens up in `model.source_embedding`, run `output, (h, c) = model.encoder(x, mask)`, an LSTM that stands still "
    "where `mask` (batch, source) is False, and put its last states side by side: first h of every layer, then c of "
    "every layer, each of which comes as (batch, layers, d_hidden). Padding is the token `model.pad`. In the package "
    "this is `Seq2Seq.encode`; `with plugged(encode=source_vector): …` puts yours in its place, and so does the check.",
    stub='''def source_vector(model, source):
    """source (batch, source), whole numbers -> (batch, 2 * layers * d_hidden)"""
    raise NotImplementedError
''',
    reference=Seq2Seq.encode,
    source=SOURCE_VECTOR,
    cases=_readers,
    axes=("batch", "number"),
    words="number {number} is {got}, expected {want}",
    hints=(
        "Four lines: mask, embedding, network, vector. The outputs of the single steps are not needed.",
        "`source != model.pad` is the mask: True where a token is real.",
        "`h.flatten(1)` puts the layers' states side by side; `torch.cat` along axis 1 puts c behind them.",
    ),
    mistakes=(
        mistake(
            "padding read",
            """Your encoder reads the padding: it gets no mask, and the vector of a sentence depends on how long its
            neighbors in the batch are. `model.encoder(x, mask)`.""",
            ("model.encoder(x, mask)", "model.encoder(x)"),
        ),
        mistake(
            "mask inverted",
            """Your mask is inverted: the encoder reads the padding and nothing else. It is True where a token is
            **real**: `source != model.pad`.""",
            ("source != model.pad", "source == model.pad"),
        ),
        mistake(
            "pad ignored",
            """You take the token 0 for padding always. Its id is `model.pad`, which is 0 only by default.""",
            ("model.pad", "0"),
        ),
        mistake(
            "mask with an axis too many",
            """Your mask is (batch, 1, source), made for attention. A recurrent network has no queries: its mask is
            (batch, source), `.squeeze(1)`.""",
            ("source != model.pad", "(source != model.pad).unsqueeze(1)"),
            raises=True,
        ),
        mistake(
            "memory c left out",
            """You leave c out. An LSTM remembers in two tensors, and c is what carries far: the decoder needs both.""",
            ("[h.flatten(1), c.flatten(1)]", "[h.flatten(1)]"),
            raises=True,
        ),
        mistake(
            "state h left out",
            """You leave h out. An LSTM's state is the pair (h, c), and the decoder begins with both.""",
            ("[h.flatten(1), c.flatten(1)]", "[c.flatten(1)]"),
            raises=True,
        ),
        mistake(
            "c before h",
            """You put c before h. The decoder unpacks h first; exchanged, it begins with a memory that was meant to be
            shown, and shows what was meant to be kept.""",
            ("[h.flatten(1), c.flatten(1)]", "[c.flatten(1), h.flatten(1)]"),
        ),
        mistake(
            "layer by layer",
            """You put h and c of the first layer before those of the second. Asked for is h of every layer, then c of
            every layer: flatten each, then `torch.cat`.""",
            (
                "torch.cat([h.flatten(1), c.flatten(1)], dim=1)",
                "torch.cat([h, c], dim=2).flatten(1)",
            ),
        ),
        mistake(
            "only the top layer",
            """You take the top layer's state alone. Each layer of the decoder begins where the same layer of the
            encoder ended, so the vector holds them all.""",
            ("h.flatten(1), c.flatten(1)", "h[:, -1], c[:, -1]"),
            raises=True,
        ),
        mistake(
            "only the bottom layer",
            """You take the bottom layer's state alone. Each layer of the decoder begins where the same layer of the
            encoder ended, so the vector holds them all: `h.flatten(1)`.""",
            ("h.flatten(1), c.flatten(1)", "h[:, 0], c[:, 0]"),
            raises=True,
        ),
        mistake(
            "outputs taken for h",
            """You unpack `h, c = model.encoder(x, mask)`. It returns two things, the outputs after every step and the
            last states, which are a pair: `output, (h, c) = model.encoder(x, mask)`.""",
            ("output, (h, c) = model", "h, c = model"),
            raises=True,
        ),
        mistake(
            "last output taken",
            """You take the output of the last column. The package's network gives zeros at padding, and the output
            shows h of the top layer only. The states come second: `output, (h, c) = model.encoder(x, mask)`.""",
            ("torch.cat([h.flatten(1), c.flatten(1)], dim=1)", "output[:, -1]"),
            raises=True,
        ),
        mistake(
            "h and c added",
            """You add h and c. They are two things, and the decoder cannot take a sum apart: put them side by side.""",
            (
                "torch.cat([h.flatten(1), c.flatten(1)], dim=1)",
                "h.flatten(1) + c.flatten(1)",
            ),
            raises=True,
        ),
        mistake(
            "target's embedding",
            """You look the source up in the target's embedding. The source has its own,
            `model.source_embedding`.""",
            ("model.source_embedding", "model.target_embedding"),
        ),
        mistake(
            "decoder reads the source",
            """The decoder reads the source in your code. It has the encoder's shape, but not its weights:
            `model.encoder`.""",
            ("model.encoder", "model.decoder"),
        ),
        mistake(
            "gradient cut",
            """The values are right, but the vector is cut off the encoder (`.detach()`, `torch.no_grad()`): in training
            only the decoder would learn.""",
            (
                "torch.cat([h.flatten(1), c.flatten(1)], dim=1)",
                "torch.cat([h.flatten(1), c.flatten(1)], 1).detach()",
            ),
        ),
    ),
    difficulty=3,
    minutes=15,
)

_chapter = Chapter(
    "Chapter 3, sequence to sequence",
    [
        shift,
        last_state,
        masked_loss,
        exact_rows,
        teacher_forcing_loss,
        unroll,
        source_vector,
        greedy,
    ],
)
progress = _chapter.progress
