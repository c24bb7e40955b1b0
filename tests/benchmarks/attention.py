"""From which length on the fused attention is faster: python tests/benchmarks/attention.py [--help].

Forward and backward of the formula beside ``F.scaled_dot_product_attention``, turn by turn, at equal numbers of tokens.
A ratio above 1 means that the fused call is faster.
"""

import argparse
import os
import time
from statistics import median

import torch

from minitfm.attention import scaled_dot_product_attention


def seconds(
    shape: tuple[int, ...], kind: torch.dtype, fast: bool, masked: bool
) -> float:
    query, key, value = (
        torch.randn(shape, dtype=kind, requires_grad=True) for _ in range(3)
    )
    mask = torch.ones(shape[-2], shape[-2], dtype=torch.bool).tril() if masked else None
    begin = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        output = scaled_dot_product_attention(query, key, value, mask, fast=fast)
    output.backward(torch.ones_like(output))
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {
        "tokens": 4096,
        "heads": 8,
        "d-k": 32,
        "threads": 1,
        "rounds": 5,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{vars(options)}, torch {torch.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print("length  kind      masked  formula / fused")
    for length in (8, 16, 32, 64, 128, 256, 512, 1024):
        for kind in (torch.float32, torch.bfloat16):
            for masked in (False, True):
                shape = (
                    max(1, options.tokens // length),
                    options.heads,
                    length,
                    options.d_k,
                )
                pairs = [
                    [seconds(shape, kind, fast, masked) for fast in (False, True)]
                    for _ in range(1 + options.rounds)
                ]
                ratio = median(formula / fused for formula, fused in pairs[1:])
                print(
                    f"{length:6}  {str(kind).removeprefix('torch.'):8}  {masked!s:6}  {ratio:.2f}"
                )


if __name__ == "__main__":
    main()
