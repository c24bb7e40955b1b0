"""Our Transformer as Hugging Face's MarianMTModel, the same weights: an oracle for writing, and a peer for speed."""

from typing import Any

import torch

from minitfm.study.vocabulary import EOS, PAD
from minitfm.transformer import Transformer
from minitfm.translate.huggingface import to_hugging_face


def to_marian(model: Transformer, positions: int = 200) -> Any:
    """Our post-norm model as theirs, which also writes <pad> unless it is forbidden there."""
    marian = to_hugging_face(model, positions)
    marian.final_logits_bias.zero_()
    return marian


def generated(
    marian: Any, source: torch.Tensor, beam: int, tokens: int
) -> list[list[int]]:
    """What ``generate`` writes, without <bos>, up to and with <eos>; without a length penalty, which differs there."""
    written = marian.generate(
        source,
        attention_mask=source != PAD,
        num_beams=beam,
        do_sample=False,
        max_new_tokens=tokens,
        length_penalty=0.0,
        early_stopping=False,
        bad_words_ids=[[PAD]],
    )
    rows = written[:, 1:].tolist()
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in rows]
