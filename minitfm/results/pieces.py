r"""The Transformer on dates, with one piece taken away or changed.

The runs that chapter 9 shows::

    python -m minitfm.results.pieces --seeds 0 1 2 \
        --kinds whole frozen 'no root' 'no networks' 'no networks, wide'
    python -m minitfm.results.pieces --seeds 0 1 \
        --kinds untied 'no encoder' 'no encoder, wide' 'no root, sines / 8'

``whole`` is chapter 9's model. ``frozen`` never changes the encoder's layers,
``no encoder`` has none: the decoder looks at the source's embeddings. ``no root``
leaves out the factor √d_model, ``no root, sines / 8`` makes the positions smaller by
the same factor. ``no networks`` has no feed-forward networks. With ``wide`` the vectors
are longer, which makes up for the parameters of what is missing. ``untied`` has a
matrix each for the source, the target and the generator. Rows hold the share of 500
held-out dates without an error after 150, 300, 450 and 600 steps of 64 dates, with
matrix products in bfloat16. One thread is enough (OMP_NUM_THREADS=1). Run it from a
checkout (``make test`` or ``make lab`` sets one up), so that the rows name the commit.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm.fast import accelerate
from minitfm.results import append_row
from minitfm.results.ladder import loss_in_bf16
from minitfm.seq2seq import exact_match, greedy
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import dates
from minitfm.study.vocabulary import Vocabulary
from minitfm.transformer import Transformer, TransformerConfig

TABLE = Path(__file__).with_suffix(".csv")
KINDS = ("whole", "frozen", "no encoder", "no encoder, wide", "no root", "no networks")
KINDS += ("no root, sines / 8", "no networks, wide", "untied")
# Wide enough to make up for the parameters of what is missing, within 3 %.
WIDE = {"no encoder, wide": 92, "no networks, wide": 96}
EVERY = 150


class NoRoot(Transformer):
    """A Transformer that adds the positions to the embeddings as they are."""

    def embed(
        self,
        tokens: Int[Tensor, "batch token"],
        embedding: nn.Module,
        positions: nn.Module,
    ) -> Float[Tensor, "batch token d_model"]:
        """Turn ids into vectors: embedding plus position."""
        return self.dropout(positions(embedding(tokens)))


class NoRootSmallSines(Transformer):
    """A Transformer that divides the positions by √d_model instead of multiplying the
    embeddings by it.
    """

    def embed(
        self,
        tokens: Int[Tensor, "batch token"],
        embedding: nn.Module,
        positions: nn.Module,
    ) -> Float[Tensor, "batch token d_model"]:
        """Turn ids into vectors: embedding plus position / √d_model."""
        x = embedding(tokens)
        position = positions(torch.zeros_like(x))
        return self.dropout(x + position / self.config.d_model**0.5)


class NoNetwork(nn.Module):
    """A feed-forward network that adds nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(x)


class NoEncoder(nn.Module):
    """An encoder without layers."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Leave the embeddings as they are."""
        return x


def build(kind: str, vocabulary: int) -> Transformer:
    """Make a model of one of ``KINDS``."""
    options: dict[str, Any] = {"tied": kind != "untied"}
    if kind in WIDE:
        options["d_model"] = WIDE[kind]
    config = TransformerConfig.tiny(vocabulary, dropout=0.0, **options)
    embeds = {"no root": NoRoot, "no root, sines / 8": NoRootSmallSines}
    model = embeds.get(kind, Transformer)(config)
    if kind == "frozen":
        model.encoder.requires_grad_(False)
    if kind.startswith("no encoder"):
        model.encoder = NoEncoder()
    if kind.startswith("no networks"):
        for tower in (model.encoder, model.decoder):
            for layer in tower.layers:
                layer.feed_forward = NoNetwork()
    return accelerate(model)


class Dates:
    """The dates to train and to measure on, as numbers."""

    def __init__(self) -> None:
        """Draw them."""
        train, held_out = dates(20_000, seed=0), dates(500, seed=1, held_out=True)
        self.vocabulary = Vocabulary.of(text for pair in train for text in pair)

        def encode(pairs: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
            source = self.vocabulary.encode([english for english, _ in pairs])
            target = [japanese for _, japanese in pairs]
            return source, self.vocabulary.encode(target, bos=True, eos=True)

        self.train, self.held_out = encode(train), encode(held_out)

    def match(self, model: Transformer) -> float:
        """Share of the held-out dates without an error."""
        source, target = self.held_out
        return exact_match(greedy(model, source, max_length=20), target[:, 1:])


def train(
    data: Dates, kind: str, seed: int, steps: int = 600, progress: bool = False
) -> tuple[list[float], float, Transformer]:
    """Train one kind; return the matches every 150 steps, the seconds, the model."""
    torch.manual_seed(seed)
    model = build(kind, len(data.vocabulary))
    history = fit(
        model,
        loss_in_bf16,
        shuffled(*data.train, batch=64, seed=seed),
        steps,
        learning_rate=2e-3,
        warmup=100,
        decay=True,
        evaluate=data.match,
        every=EVERY,
        progress=progress,
    )
    return [match for *_, match in history.evaluations], history.seconds, model


def main() -> None:
    """Train once for each seed and kind."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.pieces")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    data = Dates()
    for seed in options.seeds:
        for kind in options.kinds:
            matches, seconds, model = train(data, kind, seed)
            row = {
                "seed": seed,
                "seconds": round(seconds),
                "threads": torch.get_num_threads(),
                "kind": kind,
                "parameters": sum(p.numel() for p in model.parameters()),
                "trained": sum(
                    p.numel() for p in model.parameters() if p.requires_grad
                ),
            }
            for number, match in enumerate(matches, 1):
                row[f"match_{EVERY * number}"] = f"{match:.3f}"
            append_row(options.table, row)


if __name__ == "__main__":
    main()
