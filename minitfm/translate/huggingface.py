"""A trained Transformer as a model of Hugging Face's, the same weights: a Pegasus for
pre-norm, which CTranslate2 converts as well, and a Marian for post-norm.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minitfm.positional import sinusoids
from minitfm.study.extras import brought_by
from minitfm.study.vocabulary import BOS, EOS, PAD, SPECIAL
from minitfm.transformer import Transformer
from minitfm.translate.tokenizers import Tokenizer

START = "<start>"  # what a Pegasus begins a target with, besides being its padding
NEVER = -1e4  # the logit of what is never written; CTranslate2 takes no infinity


def to_hugging_face(model: Transformer, positions: int = 512) -> Any:
    """The same function as a PegasusForConditionalGeneration (pre-norm) or a
    MarianMTModel (post-norm); their biases that ours lacks are 0.

    A Marian's sinusoids stand all sines first, then all cosines, so every width of the
    model is put into that order (chapter 7). A Pegasus begins a target with a vector of
    zeros, so its position 0 has the embedding of <bos> in it.

    Args:
        model: with one vocabulary, tied weights and sinusoidal positions, as in the
            paper.
        positions: the longest sequence, in tokens.

    Raises:
        ValueError: if the model has something that neither of them has.
        ModuleNotFoundError: if transformers is not installed.
    """
    with brought_by("bench"):
        import transformers
    c = model.config
    width = c.d_model // c.heads
    if not (c.tied and c.target_vocabulary is None and c.positions == "sinusoidal"):
        raise ValueError(
            "only a model with one vocabulary, tied weights and sinusoidal positions"
            " has its like there"
        )
    if {c.d_k or width, c.d_v or width} != {width}:
        raise ValueError("only heads of width d_model / heads have their like there")
    pre, size = c.norm == "pre", c.vocabulary
    options: dict[str, Any] = {
        "d_model": c.d_model,
        "encoder_layers": c.layers,
        "decoder_layers": c.layers,
        "encoder_attention_heads": c.heads,
        "decoder_attention_heads": c.heads,
        "encoder_ffn_dim": c.d_ff,
        "decoder_ffn_dim": c.d_ff,
        "activation_function": "relu",
        "dropout": c.dropout,
        "attention_dropout": c.attention_dropout,
        "activation_dropout": c.activation_dropout,
        "max_position_embeddings": positions,
        "scale_embedding": True,
        "vocab_size": size + pre,
        "pad_token_id": size if pre else PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "decoder_start_token_id": size if pre else BOS,
        "forced_eos_token_id": None,
    }
    if pre:
        options |= {"normalize_before": True, "normalize_embedding": False}
        config = transformers.PegasusConfig(**options)
        theirs: Any = transformers.PegasusForConditionalGeneration(config)
    else:
        theirs = transformers.MarianMTModel(transformers.MarianConfig(**options))
    with torch.no_grad():
        copy_weights(model, theirs)
        theirs.final_logits_bias[0, PAD] = NEVER
        if pre:
            theirs.final_logits_bias[0, size] = NEVER
            table = sinusoids(positions, c.d_model)
            theirs.model.encoder.embed_positions.weight.copy_(table)
            embedded = model.target_embedding.weight[BOS] * math.sqrt(c.d_model)
            table[0] += embedded.detach().double().cpu()
            theirs.model.decoder.embed_positions.weight.copy_(table)
    return theirs.eval()


def copy_weights(model: Transformer, theirs: Any) -> None:
    """Copy every weight of ours to its place."""
    d, pre = model.config.d_model, model.config.norm == "pre"
    order = torch.arange(d)
    if not pre:  # sines, which stand at even places, before cosines
        order = torch.cat([order[::2], order[1::2]])

    def fill(place: Any, weight: Tensor, bias: Tensor | None) -> None:
        place.weight.copy_(weight)
        if getattr(place, "bias", None) is not None:
            place.bias.zero_() if bias is None else place.bias.copy_(bias)

    shared = theirs.model.shared.weight.zero_()
    shared[: model.config.vocabulary] = model.target_embedding.weight[:, order]
    for side in ("encoder", "decoder"):
        ours, other = getattr(model, side), getattr(theirs.model, side)
        if pre:
            fill(other.layer_norm, ours.norm.gain, ours.norm.bias)
        for layer, place in zip(ours.layers, other.layers):
            attentions = [(layer.self_attention, place.self_attn)]
            norms = [place.self_attn_layer_norm]
            if side == "decoder":
                attentions.append((layer.cross_attention, place.encoder_attn))
                norms.append(place.encoder_attn_layer_norm)
            for own, there in attentions:
                fill(there.q_proj, own.query.weight[:, order], None)
                fill(there.k_proj, own.key.weight[:, order], None)
                fill(there.v_proj, own.value.weight[:, order], None)
                fill(there.out_proj, own.output.weight[order], None)
            inner, outer = layer.feed_forward.inner, layer.feed_forward.outer
            fill(place.fc1, inner.weight[:, order], inner.bias)
            fill(place.fc2, outer.weight[order], outer.bias[order])
            for number, norm in enumerate([*norms, place.final_layer_norm], start=1):
                own = getattr(layer, f"residual_{number}").norm
                fill(norm, own.gain[order], own.bias[order])


def fast_tokenizer(tokenizer: Tokenizer, pre: bool) -> Any:
    """The tokenizer for Hugging Face's model, with the special ids in the vocabulary.

    Args:
        tokenizer: of our model.
        pre: for a Pegasus, which has one id more.
    """
    import transformers
    from tokenizers import Tokenizer as Library

    facts = json.loads(tokenizer.to_json())
    special = dict(zip(SPECIAL, range(len(SPECIAL))))
    vocabulary = facts["model"]["vocab"]
    shifted = {word: number + len(SPECIAL) for word, number in vocabulary.items()}
    if pre:
        special[START] = len(tokenizer)
    facts["model"]["vocab"] = special | shifted
    library = Library.from_str(json.dumps(facts))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=library,
        pad_token=START if pre else SPECIAL[PAD],
        bos_token=SPECIAL[BOS],
        eos_token=SPECIAL[EOS],
        unk_token=SPECIAL[PAD],
    )


def export(
    model: Transformer, tokenizer: Tokenizer, folder: Path, positions: int = 512
) -> Any:
    """Write a model and its tokenizer as a folder, for ``from_pretrained`` of
    ``AutoModelForSeq2SeqLM`` and of ``AutoTokenizer``.

    Args:
        model: as in ``to_hugging_face``.
        tokenizer: of the model.
        folder: to be made; nothing may be in it.
        positions: as in ``to_hugging_face``.

    Returns:
        Hugging Face's model.

    Raises:
        ValueError: if the folder holds something, or the model has no like there.
        ModuleNotFoundError: if transformers is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds something already; name a new folder")
    if not isinstance(model, Transformer):
        raise ValueError("only Transformers have their like there")
    theirs = to_hugging_face(model, positions)
    theirs.save_pretrained(folder)
    fast_tokenizer(tokenizer, model.config.norm == "pre").save_pretrained(folder)
    return theirs
