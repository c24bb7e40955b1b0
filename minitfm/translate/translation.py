"""Lines in, lines out, by a model that was trained before."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minitfm.attentive import RecurrentConfig
from minitfm.decoding import CachedTransformer, Hypothesis, averaged, sample
from minitfm.fast import accelerate
from minitfm.fast.writer import beam_search, writer
from minitfm.seq2seq import EncoderDecoder
from minitfm.study.vocabulary import BOS, SPECIAL
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.translate.batches import evaluation_batches
from minitfm.translate.checkpoints import MODEL, describe, read, whole_checkpoints
from minitfm.translate.corpora import detokenize, tokenize_english
from minitfm.translate.own import normalized
from minitfm.translate.tokenizers import Tokenizer, character_tokenizer
from minitfm.web.weights import load_weights

# The configs of the models that can be loaded, by the name in their checkpoints.
CONFIGS: dict[str, Any] = {
    config.__name__: config for config in (TransformerConfig, RecurrentConfig)
}


def files(checkpoint: str | Path, average: int = 1) -> list[Path]:
    """The files of weights at a path: one file, or a training's last ``average``
    checkpoints.

    Raises:
        FileNotFoundError: if there is no checkpoint, or fewer than ``average``.
        ValueError: if the average of a single file is asked for.
    """
    path = Path(checkpoint)
    if not path.exists():
        raise FileNotFoundError(
            f"there is no {path}; name a folder that minitfm train wrote, or a {MODEL}"
        )
    if average < 1:
        raise ValueError(f"average={average}; choose 1 or more")
    if path.is_file() or (path / MODEL).is_file():
        if average > 1:
            raise ValueError(
                f"{path} is one checkpoint; to average {average}, name the folder of"
                " the training"
            )
        return [path if path.is_file() else path / MODEL]
    found = whole_checkpoints(path, lambda line: print(line, file=sys.stderr))
    if len(found) < average:
        holds = f"{len(found)} checkpoint{'s' * (len(found) != 1)}"
        raise FileNotFoundError(
            f"{path} holds {holds}, and {average} would be needed; train longer, or"
            " look elsewhere"
        )
    return [each / MODEL for each in found[-average:]]


def description(checkpoint: str | Path) -> dict[str, Any]:
    """The metadata of a checkpoint: its corpus, its model's config, its tokenizer or
    its symbols, its step.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if this package did not write it.
    """
    found = describe(files(checkpoint)[-1])
    missing = {"config", "tokenizer"} - found.keys()
    if "symbols" in found:  # a model of the live page
        missing.discard("tokenizer")
        found.setdefault("step", found.get("about", {}).get("steps", 0))
    if missing:
        raise ValueError(
            f"{checkpoint} has no {' and no '.join(sorted(missing))} in its"
            " description; it cannot be loaded"
        )
    return found


def load(
    checkpoint: str | Path, average: int = 1, device: torch.device | str | None = None
) -> tuple[Any, Tokenizer]:
    """Build a trained model and its tokenizer from the files of a training, or from one
    file such as the live page's ``dates.safetensors``. Nothing is unpickled.

    Args:
        checkpoint: the folder of a training, one of the checkpoints in it, or a
            safetensors file.
        average: of how many of the last checkpoints to take the mean.
        device: where to put the model; unless given, on the GPU if there is one.

    Returns:
        The model, in evaluation mode, and its tokenizer.

    Raises:
        FileNotFoundError: if there is no checkpoint, or fewer than ``average``.
        ValueError: if this package did not write it.
    """
    found = description(checkpoint)
    model = accelerate(config_of(checkpoint, found).build())
    states = [read(file)[0] for file in files(checkpoint, average)]
    load_weights(model, averaged(states) if average > 1 else states[0])
    tokenizer = tokenizer_of(found)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return model.eval().to(device), tokenizer


def config_of(checkpoint: str | Path, found: Mapping[str, Any]) -> Any:
    """The config in the description of a checkpoint.

    Raises:
        ValueError: if this version of the package does not know it.
    """
    kind = found.get("model", TransformerConfig.__name__)
    if kind not in CONFIGS:
        raise ValueError(
            f"{checkpoint} holds a model of kind {kind!r}; known are"
            f" {', '.join(CONFIGS)}"
        )
    config = dict(found["config"])
    config.pop("pad", None)  # an option of version 0.2, which was always 0
    known = {field.name for field in dataclasses.fields(CONFIGS[kind])}
    if unknown := sorted(config.keys() - known):
        raise ValueError(
            f"{checkpoint} was written by a newer version of minitfm: its config names"
            f" {', '.join(unknown)}, which this one does not know"
        )
    try:
        return CONFIGS[kind](**config)
    except TypeError as error:
        raise ValueError(
            f"{checkpoint} has a config of other types: {error}"
        ) from error


def tokenizer_of(found: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer in the description of a checkpoint."""
    if "tokenizer" in found:
        return Tokenizer.from_json(found["tokenizer"])
    return character_tokenizer(found["symbols"][len(SPECIAL) :])


def start_config(checkpoint: str | Path) -> Any:
    """The config of a trained model, for another training to begin with."""
    return config_of(checkpoint, description(checkpoint))


def start_tokenizer(checkpoint: str | Path) -> Tokenizer:
    """The tokenizer of a trained model, for another training to begin with."""
    return tokenizer_of(description(checkpoint))


def samples(
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    tokens: int = 4096,
) -> list[str]:
    """A translation of each text, drawn token by token; an empty text has itself.

    Args:
        model: a trained encoder-decoder, such as ``load`` returns.
        tokenizer: of the model.
        texts: in the form of the model's corpus.
        seed: of the draws.
        temperature: as in ``decoding.sample``.
        top_k: as in ``decoding.keep_likeliest``.
        top_p: as in ``decoding.keep_likeliest``.
        tokens: the most source tokens in a batch.
    """
    module: Any = model
    device = next(module.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    cached: Any = CachedTransformer(model) if isinstance(model, Transformer) else model
    found = ["" for _ in texts]
    for places, source in source_batches(tokenizer, texts, tokens, device):
        rows = sample(
            cached,
            source,
            generator=generator,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        for place, text in zip(places, tokenizer.decode(rows)):
            found[place] = one_line(text)
    return found


def source_batches(
    tokenizer: Tokenizer, texts: Sequence[str], tokens: int, device: torch.device
) -> Iterator[tuple[list[int], Tensor]]:
    """The texts that are not empty in batches of similar length, each with the places
    of its texts.
    """
    encoded = tokenizer.encode(texts)
    real = [place for place, ids in enumerate(encoded) if ids]
    for places, source in evaluation_batches([encoded[one] for one in real], tokens):
        yield [real[place] for place in places], source.to(device)


def hypotheses(
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    beam: int = 4,
    alpha: float = 0.6,
    best: int = 1,
    tokens: int = 4096,
) -> list[list[tuple[str, Hypothesis]]]:
    """The ``best`` translations of each text with their scores, the best first; an
    empty text has one, itself.

    Args:
        model: a trained encoder-decoder, such as ``load`` returns.
        tokenizer: of the model.
        texts: in the form of the model's corpus.
        beam: number of hypotheses in progress for each text.
        alpha: of the length penalty.
        best: how many translations to return for each text.
        tokens: the most source tokens in a batch. Sentences of similar length are
            written together.
    """
    module: Any = model
    device = next(module.parameters()).device
    beams = writer(model)
    found: list[list[tuple[str, Hypothesis]]] = [
        [("", Hypothesis([], 0.0, 0.0))] for _ in texts
    ]
    for places, source in source_batches(tokenizer, texts, tokens, device):
        pools = beam_search(beams, source, beam=beam, alpha=alpha, best=best)
        for place, pool in zip(places, pools):
            written = tokenizer.decode([hypothesis.tokens for hypothesis in pool])
            found[place] = [
                (one_line(text), hypothesis) for text, hypothesis in zip(written, pool)
            ]
    return found


def translate(
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    beam: int = 4,
    alpha: float = 0.6,
) -> list[str]:
    """Translate each text, in order: ``translate(*load("runs/multi30k"), ["A man
    sleeps."])``.

    Texts are as in the model's corpus; ``read_as`` brings others into that form,
    ``write_as`` the result out of it.
    """
    return [
        pool[0][0]
        for pool in hypotheses(model, tokenizer, texts, beam=beam, alpha=alpha)
    ]


def read_as(corpus: str, text: str) -> str:
    """Bring a text into the form of a corpus."""
    text = normalized(text)
    if corpus == "cmudict":
        return text.lower()
    return tokenize_english(text) if corpus == "small_parallel_enja" else text


def write_as(corpus: str, text: str) -> str:
    """Bring a text from the form of a corpus into the usual spelling."""
    return detokenize(text) if corpus == "small_parallel_enja" else text


def one_line(text: str) -> str:
    """The text without line breaks, which a model may have written."""
    return " ".join(text.splitlines())


@torch.no_grad()
def attention_views(
    model: Transformer, tokenizer: Tokenizer, text: str, written: str
) -> dict[str, Any]:
    """What ``AttentionView`` shows of one translation: every head of every layer.

    Args:
        model: a trained Transformer.
        tokenizer: of the model.
        text: the source, in the form of the model's corpus.
        written: its translation, in the same form.
    """
    from minitfm.web.widgets import translation_views

    device = next(model.parameters()).device
    source, target = tokenizer.encode([text, written])
    names = [
        [tokenizer.decode([[token]])[0] for token in row] for row in (source, target)
    ]
    weights = model.attention(
        torch.tensor([source], device=device),
        torch.tensor([[BOS, *target]], device=device),
    )
    views = translation_views(weights, model.config.layers, names[0], names[1])
    return {"views": [view.data() for view in views]}
