"""How good a trained model is on sentences that it never saw."""

import re
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm.seq2seq import EncoderDecoder
from minitfm.study import tasks
from minitfm.study.extras import brought_by
from minitfm.translate.presets import pairs
from minitfm.translate.tokenizers import Tokenizer
from minitfm.translate.translation import translate


class Score(NamedTuple):
    """One figure: its name, its value, and how it was computed."""

    name: str
    value: float
    note: str = ""

    def __str__(self) -> str:
        """The figure on one line."""
        return f"{self.name} {self.value:.2f}  {self.note}".rstrip()


class Evaluation(NamedTuple):
    """A model's translations of a corpus, and their scores."""

    scores: list[Score]
    written: list[str]
    seconds: float


@torch.inference_mode()
def nats_a_token(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The cross-entropy of a true next token, without smoothing, averaged over all
    tokens.
    """
    device = next(model.parameters()).device
    loss, tokens = 0.0, 0
    for source, target in batches:
        source, target = source.to(device), target.to(device)
        logits = model(source, target[:, :-1]).flatten(0, 1)
        loss += F.cross_entropy(
            logits.float(), target[:, 1:].flatten(), ignore_index=0, reduction="sum"
        ).item()
        tokens += int((target[:, 1:] != 0).sum())
    return loss / tokens


def bleu(
    written: Sequence[str],
    references: Sequence[str],
    tokenize: str,
    resamples: int = 1000,
) -> Score:
    """BLEU by sacreBLEU, with its signature and a 95 % interval by the bootstrap."""
    with brought_by("text"):
        from sacrebleu.metrics import BLEU

    metric = BLEU(tokenize=tokenize)
    score = metric.corpus_score(
        list(written), [list(references)], n_bootstrap=resamples
    )
    low, high = score._mean - score._ci, score._mean + score._ci
    return Score(
        "BLEU",
        score.score,
        f"95 % from {low:.2f} to {high:.2f}  {metric.get_signature()}",
    )


def chrf(written: Sequence[str], references: Sequence[str]) -> Score:
    """chrF by sacreBLEU, with its signature: characters in place of words, so that
    languages without spaces can be scored as well (Popović 2015).
    """
    with brought_by("text"):
        from sacrebleu.metrics import CHRF

    metric = CHRF()
    score = metric.corpus_score(list(written), [list(references)])
    return Score("chrF", score.score, str(metric.get_signature()))


def scores(
    corpus: str,
    written: Sequence[str],
    wanted: Sequence[tuple[str, str]],
    tokenize: str = "13a",
) -> list[Score]:
    """The figures that are usually reported for a corpus; for others than those of
    ``presets``, BLEU and chrF.

    Args:
        corpus: a name that ``presets.pairs`` knows.
        written: the model's translations, in the form of the corpus.
        wanted: the pairs of the corpus, in the same order.
        tokenize: how BLEU cuts sentences into words, a name that sacreBLEU knows.
    """
    references = [target for _, target in wanted]
    if corpus == "cmudict":
        errors = []
        for stress in (False, True):
            listed = tasks.pronunciations(held_out=True, stress=stress)
            guesses = [
                (text if stress else re.sub("[012]", "", text)).split()
                for text in written
            ]
            rates = tasks.error_rates(guesses, [listed[word] for word, _ in wanted])
            note = f"%, {'with' if stress else 'without'} stress"
            names = ("word error rate", "phoneme error rate")
            errors += [
                Score(name, 100 * rate, note) for name, rate in zip(names, rates)
            ]
        return errors
    if corpus == "dates":
        right = sum(text == reference for text, reference in zip(written, references))
        return [
            Score(
                "right",
                100 * right / len(references),
                "% of the lines, every character",
            )
        ]
    if (
        corpus == "small_parallel_enja"
    ):  # in the corpus's own words, and in characters, which depend on no segmentation
        found = [bleu(written, references, "none"), bleu(written, references, "char")]
    else:
        found = [bleu(written, references, tokenize)]
    return [*found, chrf(written, references)]


def evaluate(
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    corpus: str,
    split: str = "test",
    *,
    wanted: Sequence[tuple[str, str]] | None = None,
    beam: int = 4,
    alpha: float = 0.6,
    tokenize: str = "13a",
) -> Evaluation:
    """Translate a split of a corpus and score it. The seconds are those of the
    translation.

    Args:
        model: a trained encoder-decoder, such as ``translation.load`` returns.
        tokenizer: of the model.
        corpus: a name that ``presets.pairs`` knows, or another one with ``wanted``.
        split: "train", "valid" or "test".
        wanted: the pairs to translate, in place of the split's.
        beam: number of hypotheses in progress for each sentence.
        alpha: of the length penalty.
        tokenize: as in ``scores``.
    """
    wanted = pairs(corpus, split) if wanted is None else wanted
    begin = time.monotonic()
    written = translate(
        model, tokenizer, [source for source, _ in wanted], beam=beam, alpha=alpha
    )
    seconds = time.monotonic() - begin
    found = scores(corpus, written, wanted, tokenize)
    return Evaluation(found, written, seconds)
