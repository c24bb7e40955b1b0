"""Train the Transformer of the live pages: `python -m minitfm.web.train` writes
`static/dates.safetensors`.

It is the model of chapter 9, trained on the same dates for longer. Held-out dates
decide whether the file is written.
"""

import argparse
import sys
from pathlib import Path

import torch

from minitfm.seq2seq import exact_match, greedy, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import dates
from minitfm.study.vocabulary import Vocabulary
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.web.weights import pack, unpack

FILE = Path(__file__).parent / "static" / "dates.safetensors"
COMMAND = "python -m minitfm.web.train"
REQUIRED = 0.99


def held_out_match(
    model: Transformer, vocabulary: Vocabulary, count: int, seed: int = 1
) -> float:
    """Share of `count` held-out dates that the model translates without a mistake."""
    pairs = dates(count, seed, held_out=True)
    source = vocabulary.encode([english for english, _ in pairs])
    target = vocabulary.encode([japanese for _, japanese in pairs], eos=True)
    return exact_match(greedy(model, source, max_length=target.shape[1]), target)


def train(steps: int, seed: int, pairs: int = 40_000) -> tuple[bytes, float]:
    """Train from scratch; return the file, and its exact match on 2,000 held-out dates
    in the precision it is in.
    """
    torch.manual_seed(seed)
    drawn = dates(pairs, seed)
    vocabulary = Vocabulary.of(text for pair in drawn for text in pair)
    source = vocabulary.encode([english for english, _ in drawn])
    target = vocabulary.encode([japanese for _, japanese in drawn], bos=True, eos=True)
    model = Transformer(TransformerConfig.tiny(len(vocabulary), dropout=0.0))
    history = fit(
        model,
        teacher_forcing_loss,
        shuffled(source, target, batch=128, seed=seed),
        steps,
        learning_rate=2e-3,
        warmup=200,
        decay=True,
        evaluate=lambda _: print(
            f"{held_out_match(model, vocabulary, 200):.1%} of 200 held-out dates",
            flush=True,
        ),
        every=250,
    )
    longest = (
        source.shape[1],
        target.shape[1] - 1,
    )  # <bos> is given, all else is written
    about = {
        "command": f"{COMMAND} --steps {steps} --seed {seed}",
        "steps": steps,
        "seed": seed,
    }
    about["seconds"] = round(history.seconds)
    match = held_out_match(
        unpack(pack(model, vocabulary, longest=longest))[0], vocabulary, 2_000
    )
    return (
        pack(model, vocabulary, longest=longest, about=about | {"exact_match": match}),
        match,
    )


def main() -> None:
    """Train, say how good the model is, and keep it if it is good enough."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=3_000, help="batches of 128 dates to learn from"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--file", type=Path, default=FILE, help="where to write the model"
    )
    arguments = parser.parse_args()
    file, match = train(arguments.steps, arguments.seed)
    print(f"exact match on 2,000 held-out dates: {match:.2%}; {len(file):,} bytes")
    if match < REQUIRED:
        sys.exit(
            f"below {REQUIRED:.0%}, so {arguments.file} was not written; try more"
            " --steps or another --seed"
        )
    arguments.file.write_bytes(file)


if __name__ == "__main__":
    main()
