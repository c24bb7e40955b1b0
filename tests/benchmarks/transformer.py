"""Time our Transformer beside others': python tests/benchmarks/transformer.py [--help].

Training steps (forward, loss with label smoothing, backward, Adam) and writing, at the same sizes on the same tokens,
turn by turn in one process, so that whatever else the machine does meets all. A ratio of 2 means twice as fast as the
first row, which is always in float32. Peers that are not installed are left out: pip install 'minitfm[bench]'.

``medium`` allows PyTorch to compute float32 products in 16 bits; on AMD's processors it calls oneDNN instead of MKL,
which is twice as fast. ``bfloat16`` is autocast. Both are on for all models of their rows.
Memory is the largest resident size of a process that does two steps of one kind and nothing else.
"""

import argparse
import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm.fast import accelerate
from minitfm.fast.loss import generator_loss
from minitfm.fast.writer import TransformerWriter, beam_search
from minitfm.transformer import Transformer, TransformerConfig

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks.tables import keep
from tests.marian import generated, to_marian

HAS = {
    name: importlib.util.find_spec(name) is not None
    for name in ("transformers", "x_transformers", "ctranslate2")
}


class Torch(nn.Module):
    """``nn.Transformer`` with a shared embedding, as the paper has it."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary, config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        sizes = (
            config.d_model,
            config.heads,
            config.layers,
            config.layers,
            config.d_ff,
            config.dropout,
        )
        self.transformer = nn.Transformer(*sizes, batch_first=True)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        embed = lambda tokens: (
            self.embedding(tokens) * self.embedding.embedding_dim**0.5
        )
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1] - 1)
        x = self.transformer(
            embed(source), embed(target[:, :-1]), tgt_mask=mask, tgt_is_causal=True
        )
        logits = F.linear(x, self.embedding.weight).flatten(0, 1)
        return F.cross_entropy(logits, target[:, 1:].flatten(), label_smoothing=0.1)


class Ours(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.model = accelerate(Transformer(config))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        x, goal = (
            self.model.features(source, target[:, :-1]).flatten(0, 1),
            target[:, 1:].flatten(),
        )
        return generator_loss(
            x, self.model.generator.weight, None, goal, 0.1, "torch"
        ) / len(goal)


class Marian(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.model = to_marian(Transformer(config))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        logits = self.model(
            input_ids=source, decoder_input_ids=target[:, :-1]
        ).logits.flatten(0, 1)
        return F.cross_entropy(logits, target[:, 1:].flatten(), label_smoothing=0.1)


class XTransformers(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        from x_transformers import XTransformer

        side = {
            "depth": config.layers,
            "heads": config.heads,
            "num_tokens": config.vocabulary,
            "max_seq_len": 256,
        }
        options = {
            f"{where}_{name}": value
            for where in ("enc", "dec")
            for name, value in side.items()
        }
        self.model = XTransformer(dim=config.d_model, tie_token_emb=True, **options)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.model(source, target)


TRAINED: dict[str, Any] = {"nn.Transformer": Torch, "minitfm": Ours}
if HAS["transformers"]:
    TRAINED["HF Marian"] = Marian
if HAS["x_transformers"]:
    TRAINED["x-transformers"] = XTransformers


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    torch.set_float32_matmul_precision("medium" if name == "medium" else "highest")
    with torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16"):
        yield
    torch.set_float32_matmul_precision("highest")


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, kind: str, *tokens: Tensor
) -> None:
    with precision(kind):
        loss = model(*tokens)
        loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def table(
    title: str,
    calls: dict[str, Callable[[], Any]],
    options: argparse.Namespace,
    name: str,
) -> None:
    """Call each in turn; print its seconds and how many times as fast as the first it is."""
    seconds: dict[str, list[float]] = {who: [] for who in calls}
    for number in range(1 + options.rounds):
        for who, call in calls.items():
            begin = time.perf_counter()
            call()
            if number > 0:  # the first round warms up
                seconds[who].append(time.perf_counter() - begin)
    first = next(iter(seconds.values()))
    print(f"\n{title}\n{'':32}  seconds (least)  ratio of least  median ratio")
    rows = []
    for who, taken in seconds.items():
        least, middle = (
            min(first) / min(taken),
            median(a / b for a, b in zip(first, taken)),
        )
        print(f"{who:32} {min(taken):16.3f} {least:15.2f} {middle:13.2f}", flush=True)
        rows.append((who, f"{min(taken):.3f}", f"{least:.2f}", f"{middle:.2f}"))
    keep(
        options.tables,
        name,
        ("model", "seconds, least", "times as fast, by the least", "by the median"),
        rows,
    )


def training(
    config: TransformerConfig,
    rows: int,
    length: int,
    kinds: list[str],
    options: argparse.Namespace,
    name: str,
) -> None:
    tokens = (
        torch.randint(3, config.vocabulary, (rows, length)),
        torch.randint(3, config.vocabulary, (rows, length + 1)),
    )
    calls = {}
    for kind in kinds:
        for who, make in TRAINED.items():
            model = make(config).train()
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
            calls[f"{who}, {kind}"] = lambda m=model, o=optimizer, k=kind: step(
                m, o, k, *tokens
            )
    size = f"d_model {config.d_model}, {config.layers}+{config.layers} layers, {rows} sentences of {length} tokens"
    table(f"training step, {size}", calls, options, name)


def ctranslated(
    model: Transformer, source: Tensor, beam: int, tokens: int
) -> Callable[[], list[list[str]]]:
    """CTranslate2 in float32 with the same weights, through the converter for Marian's."""
    import ctranslate2
    from ctranslate2.converters.transformers import MarianMTLoader

    marian = to_marian(model)
    loader = MarianMTLoader()
    spec = loader.get_model_spec(marian)
    words = [str(number) for number in range(model.config.vocabulary)]
    words[0], words[1], words[2] = "<pad>", "<bos>", "</s>"
    spec.register_source_vocabulary(
        words[:-1]
    )  # Marian's last symbol is its padding, which the loader drops
    spec.register_target_vocabulary(words[:-1])
    spec.config.decoder_start_token, spec.config.eos_token, spec.config.bos_token = (
        "<bos>",
        "</s>",
        "<bos>",
    )
    spec.config.add_source_eos = False
    with tempfile.TemporaryDirectory() as folder:
        spec.validate()
        spec.optimize(quantization=None)
        spec.save(folder)
        translator = ctranslate2.Translator(
            folder, intra_threads=torch.get_num_threads(), compute_type="float32"
        )
    rows = [[words[token] for token in row if token] for row in source.tolist()]
    options = {
        "beam_size": beam,
        "max_decoding_length": tokens,
        "length_penalty": 0,
        "max_batch_size": len(rows),
    }
    return lambda: [
        one.hypotheses[0] for one in translator.translate_batch(rows, **options)
    ]


def writing(
    config: TransformerConfig,
    beam: int,
    options: argparse.Namespace,
    rows: int = 200,
    tokens: int = 20,
) -> None:
    """Sentences of 6 to 16 tokens into translations of up to ``tokens``, by a model whose weights are random."""
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)  # sharper than a fresh model: rounding decides nothing
    source = torch.randint(3, config.vocabulary - 1, (rows, 16))
    source[torch.arange(16) >= torch.randint(6, 17, (rows, 1))] = 0
    limit, cached = torch.full((rows,), tokens), TransformerWriter(model)
    ours = lambda: [
        one.tokens
        for (one,) in beam_search(
            cached, source, beam=beam, alpha=0.0, max_length=limit
        )
    ]
    calls: dict[str, Callable[[], Any]] = {}
    if HAS["transformers"]:
        marian = to_marian(model)
        calls["HF Marian generate"] = lambda: generated(marian, source, beam, tokens)
    calls["minitfm"] = ours
    if HAS["transformers"]:
        same = sum(a == b for a, b in zip(calls["HF Marian generate"](), ours()))
        print(f"\n{same} of {rows} translations are the same, token for token")
    if HAS["ctranslate2"]:
        try:
            calls["CTranslate2"] = ctranslated(model, source, beam, tokens)
        except (
            Exception
        ) as error:  # its converter knows only some versions of transformers
            print(f"no CTranslate2: {type(error).__name__}: {error}")
    table(
        f"writing, beam {beam}, {rows} sentences, up to {tokens} tokens, float32",
        calls,
        options,
        f"writing-{beam}",
    )


def memory(name: str, kind: str) -> None:
    model = TRAINED[name](CONFIG).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    for _ in range(2):
        step(
            model,
            optimizer,
            kind,
            torch.randint(3, 8000, (256, 16)),
            torch.randint(3, 8000, (256, 17)),
        )
    status = (
        Path("/proc/self/status").read_text().splitlines()
    )  # getrusage would count the parent before exec
    print(
        int(next(line for line in status if line.startswith("VmHWM")).split()[1])
        // 1024
    )


CONFIG = TransformerConfig(8000, d_model=256, d_ff=1024, heads=8, layers=3)
KINDS = ["float32", "medium", "bfloat16"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", choices=["train", "large", "write", "memory"], action="append"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--tables",
        type=Path,
        help="also write each table as a CSV file into this folder",
    )
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    if options.memory_of:
        return memory(*options.memory_of)
    parts = options.only or ["train", "large", "write", "memory"]
    print(
        f"torch {torch.__version__}, {options.threads} thread(s), load {os.getloadavg()[0]:.1f}"
    )
    if "train" in parts:
        training(CONFIG, 256, 16, KINDS, options, "training")
    if "large" in parts:
        large = TransformerConfig(8000, d_model=512, d_ff=2048, heads=8, layers=6)
        training(large, 64, 64, ["float32", "bfloat16"], options, "training-large")
    if "write" in parts:
        writing(CONFIG, 1, options)
        writing(CONFIG, 4, options)
    if "memory" in parts:
        print("\npeak memory of a process that trains two steps, MB")
        rows = []
        for name in TRAINED:
            for kind in ("float32", "bfloat16"):
                command = [
                    sys.executable,
                    __file__,
                    "--threads",
                    str(options.threads),
                    "--memory-of",
                    name,
                    kind,
                ]
                run = subprocess.run(
                    command, capture_output=True, text=True, check=True
                )
                rows.append((f"{name}, {kind}", run.stdout.strip()))
                print(f"{rows[-1][0]:32} {rows[-1][1]}", flush=True)
        keep(options.tables, "memory", ("model", "peak memory, MB"), rows)
    return None


if __name__ == "__main__":
    main()
