"""Our Transformer as Hugging Face's MarianMTModel, the same weights: an oracle for writing, and a peer for speed."""

from typing import Any

import torch

from minitfm.positional import sinusoids
from minitfm.study.vocabulary import BOS, EOS, PAD
from minitfm.transformer import Transformer


def to_marian(model: Transformer, positions: int = 200) -> Any:
    """Copy a post-norm model with tied weights and sinusoids; Marian's biases, which ours lacks, are zero."""
    from transformers import MarianConfig, MarianMTModel

    c = model.config
    config = MarianConfig(
        vocab_size=c.vocabulary,
        d_model=c.d_model,
        encoder_layers=c.layers,
        decoder_layers=c.layers,
        encoder_attention_heads=c.heads,
        decoder_attention_heads=c.heads,
        encoder_ffn_dim=c.d_ff,
        decoder_ffn_dim=c.d_ff,
        activation_function="relu",
        dropout=c.dropout,
        attention_dropout=0.0,
        activation_dropout=0.0,
        max_position_embeddings=positions,
        scale_embedding=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        decoder_start_token_id=BOS,
        forced_eos_token_id=None,
    )
    marian = MarianMTModel(config)
    theirs = dict(marian.named_parameters())
    theirs |= dict(marian.named_buffers())
    with torch.no_grad():
        for tensor in theirs.values():
            tensor.zero_()
        theirs["model.shared.weight"].copy_(model.target_embedding.weight)
        table = sinusoids(positions, c.d_model)
        for side in ("encoder", "decoder"):
            theirs[f"model.{side}.embed_positions.weight"].copy_(table)
            norms = [
                "self_attn_layer_norm",
                "encoder_attn_layer_norm",
                "final_layer_norm",
            ]
            norms = norms if side == "decoder" else [norms[0], norms[2]]
            for number, layer in enumerate(getattr(model, side).layers):
                prefix = f"model.{side}.layers.{number}."
                for ours, name in (
                    ("self_attention", "self_attn"),
                    ("cross_attention", "encoder_attn"),
                ):
                    for part, other in (
                        ("query", "q"),
                        ("key", "k"),
                        ("value", "v"),
                        ("output", "out"),
                    ):
                        if hasattr(layer, ours):
                            weight = getattr(getattr(layer, ours), part).weight
                            theirs[f"{prefix}{name}.{other}_proj.weight"].copy_(weight)
                for part, other in (("inner", "fc1"), ("outer", "fc2")):
                    linear = getattr(layer.feed_forward, part)
                    theirs[f"{prefix}{other}.weight"].copy_(linear.weight)
                    theirs[f"{prefix}{other}.bias"].copy_(linear.bias)
                for place, name in enumerate(norms, start=1):
                    norm = getattr(layer, f"residual_{place}").norm
                    theirs[f"{prefix}{name}.weight"].copy_(norm.gain)
                    theirs[f"{prefix}{name}.bias"].copy_(norm.bias)
    return marian.eval()


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
