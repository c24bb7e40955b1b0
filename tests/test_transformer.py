"""The whole Transformer against torch's, and its size against the paper's (chapters 8 and 9)."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minitfm.attentive import RecurrentConfig
from minitfm.layers import FeedForward, LayerNorm, Residual, layer_norm
from minitfm.masks import causal_mask, padding_mask
from minitfm.transformer import (
    DecoderLayer,
    EncoderLayer,
    Transformer,
    TransformerConfig,
)
from tests.oracle import (
    assert_close,
    assert_same_layer,
    dtypes,
    seeds,
    transformer_names,
)

small = st.integers(1, 5)
widths = st.sampled_from(
    [8, 12, 16]
)  # normalizing only two or three numbers magnifies rounding without bound
norms = st.sampled_from(["post", "pre"])
no_bias = (
    "self_attn.in_proj_bias",
    "self_attn.out_proj.bias",
    "multihead_attn.in_proj_bias",
    "multihead_attn.out_proj.bias",
)


def drawn_config(
    heads: int, d_head: int, layers: int, norm: str, **changes
) -> TransformerConfig:
    d_model = heads * d_head
    return TransformerConfig(
        11,
        d_model=d_model,
        d_ff=3 * d_model,
        heads=heads,
        layers=layers,
        norm=norm,
        dropout=0.0,
        **changes,
    )


def torch_layer(kind: type[nn.Module], config: TransformerConfig) -> nn.Module:
    return kind(
        config.d_model,
        config.heads,
        config.d_ff,
        dropout=0.0,
        batch_first=True,
        norm_first=config.norm == "pre",
    )


class TorchTransformer(nn.Module):
    """The paper's model from torch's stacks: our embeddings, positions and generator around ``nn.Transformer``."""

    def __init__(self, ours: Transformer) -> None:
        super().__init__()
        config = ours.config
        norm = lambda: nn.LayerNorm(config.d_model) if config.norm == "pre" else None
        self.encoder = nn.TransformerEncoder(
            torch_layer(nn.TransformerEncoderLayer, config),
            config.layers,
            norm(),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            torch_layer(nn.TransformerDecoderLayer, config), config.layers, norm()
        )
        self.source_embedding = nn.Embedding(config.vocabulary, config.d_model)
        target_vocabulary = config.target_vocabulary or config.vocabulary
        self.target_embedding = nn.Embedding(target_vocabulary, config.d_model)
        self.generator = nn.Linear(config.d_model, target_vocabulary, bias=False)
        if config.tied:
            self.generator.weight = self.target_embedding.weight
            if config.target_vocabulary is None:
                self.source_embedding = self.target_embedding

    def embed(self, tokens, embedding):
        """Section 3.5 written out for one number at a time."""
        d = embedding.embedding_dim
        table = torch.zeros(tokens.shape[1], d, dtype=embedding.weight.dtype)
        for position in range(tokens.shape[1]):
            for i in range(0, d, 2):
                table[position, i] = math.sin(position / 10000 ** (i / d))
                table[position, i + 1] = math.cos(position / 10000 ** (i / d))
        return embedding(tokens) * math.sqrt(d) + table

    def forward(self, source, target):
        future = ~torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).tril()
        memory = self.encoder(
            self.embed(source, self.source_embedding), src_key_padding_mask=source == 0
        )
        x = self.decoder(
            self.embed(target, self.target_embedding),
            memory,
            tgt_mask=future,
            tgt_key_padding_mask=target == 0,
            memory_key_padding_mask=source == 0,
        )
        return self.generator(x)


def padded(batch: int, length: int, first: int = 3) -> torch.Tensor:
    """Random tokens, each row with a length of its own."""
    tokens = torch.randint(first, 11, (batch, length))
    lengths = torch.randint(1, length + 1, (batch, 1))
    return tokens.masked_fill(torch.arange(length) >= lengths, 0)


@given(
    seeds,
    dtypes,
    small,
    small,
    small,
    small,
    widths,
    norms,
    st.sampled_from(["all", "target", "none"]),
)
def test_the_transformer_equals_torch(
    seed, dtype, batch, source, target, heads, d_head, norm, tying
):
    torch.manual_seed(seed)
    changes = {"all": {}, "target": {"target_vocabulary": 11}, "none": {"tied": False}}[
        tying
    ]
    ours = Transformer(drawn_config(heads, d_head, 1 + seed % 3, norm, **changes)).to(
        dtype
    )
    theirs = TorchTransformer(ours).to(dtype)
    source, target = padded(batch, source), padded(batch, target)
    call = lambda model: lambda: model(source, target)
    assert_same_layer(
        ours, theirs, transformer_names, {}, call(ours), call(theirs), fixed=no_bias
    )


@given(seeds, dtypes, small, small, small, widths, norms)
def test_an_encoder_layer_equals_torch(seed, dtype, batch, tokens, heads, d_head, norm):
    torch.manual_seed(seed)
    config = drawn_config(heads, d_head, 1, norm)
    ours, theirs = (
        EncoderLayer(config).to(dtype),
        torch_layer(nn.TransformerEncoderLayer, config).to(dtype),
    )
    real = padded(batch, tokens) != 0
    assert_same_layer(
        ours,
        theirs,
        transformer_names,
        {"x": torch.randn(batch, tokens, config.d_model, dtype=dtype)},
        lambda x: ours(x, real.unsqueeze(1)),
        lambda x: theirs(x, src_key_padding_mask=~real),
        fixed=no_bias,
    )


@given(seeds, dtypes, small, small, small, small, widths, norms)
def test_a_decoder_layer_equals_torch(
    seed, dtype, batch, source, target, heads, d_head, norm
):
    torch.manual_seed(seed)
    config = drawn_config(heads, d_head, 1, norm)
    ours, theirs = (
        DecoderLayer(config).to(dtype),
        torch_layer(nn.TransformerDecoderLayer, config).to(dtype),
    )
    tokens = padded(batch, source)
    causal = causal_mask(target).unsqueeze(0)
    assert_same_layer(
        ours,
        theirs,
        transformer_names,
        {
            "x": torch.randn(batch, target, config.d_model, dtype=dtype),
            "memory": torch.randn(batch, source, config.d_model, dtype=dtype),
        },
        lambda x, memory: ours(x, memory, causal, padding_mask(tokens)),
        lambda x, memory: theirs(
            x, memory, tgt_mask=~causal[0], memory_key_padding_mask=tokens == 0
        ),
        fixed=no_bias,
    )


@given(
    seeds,
    dtypes,
    st.lists(small, max_size=2),
    st.integers(6, 16),  # normalizing few numbers magnifies rounding without bound
    st.sampled_from([1e-5, 1e-3]),
)
def test_layer_norm_equals_torch_and_its_formula(seed, dtype, batch, d_model, eps):
    torch.manual_seed(seed)
    ours, theirs = (
        LayerNorm(d_model, eps).to(dtype),
        nn.LayerNorm(d_model, eps).to(dtype),
    )
    with torch.no_grad():
        ours.gain.normal_()
        ours.bias.normal_()
    x = 3 * torch.randn(*batch, d_model, dtype=dtype) + 5
    rename = lambda named: {"weight": named["gain"], "bias": named["bias"]}
    assert_same_layer(ours, theirs, rename, {"x": x}, ours, lambda x: theirs(x))
    exact = layer_norm(x.double(), ours.gain.double(), ours.bias.double(), eps)
    assert_close({"output": ours(x)}, {"output": exact.to(dtype)})


@given(seeds, dtypes, small, small, small, st.integers(1, 9))
def test_the_feed_forward_network_equals_torch(
    seed, dtype, batch, tokens, d_model, d_ff
):
    torch.manual_seed(seed)
    ours = FeedForward(d_model, d_ff).to(dtype)
    theirs = nn.Sequential(
        nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model)
    ).to(dtype)
    rename = lambda named: {
        name.replace("inner", "0").replace("outer", "2"): tensor
        for name, tensor in named.items()
    }
    x = torch.randn(batch, tokens, d_model, dtype=dtype)
    assert_same_layer(
        ours, theirs, rename, {"x": x}, lambda x: ours(x), lambda x: theirs(x)
    )


def test_the_residual_normalizes_where_it_says():
    x, double = torch.randn(2, 3, 4), lambda y: 2 * y
    normal = nn.LayerNorm(4)
    torch.testing.assert_close(Residual(4, norm="post")(x, double), normal(3 * x))
    torch.testing.assert_close(Residual(4, norm="pre")(x, double), x + 2 * normal(x))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_dropout_acts_on_the_sublayer_before_the_addition(norm):
    residual = Residual(4, norm=norm, dropout=1.0)
    x = torch.randn(2, 3, 4)
    straight = nn.LayerNorm(4)(x) if norm == "post" else x
    # all of the sublayer is dropped, none of x
    torch.testing.assert_close(residual.train()(x, lambda y: y + 7), straight)
    assert not torch.allclose(
        residual.eval()(x, lambda y: y + torch.arange(4)), straight
    )


def test_dropout_acts_on_embedding_plus_position():
    model = Transformer(TransformerConfig.tiny(11, dropout=1.0)).train()
    tokens = torch.tensor([[3, 4]])
    assert not model.embed(tokens, model.source_embedding, model.source_positions).any()
    assert (
        model.eval().embed(tokens, model.source_embedding, model.source_positions).any()
    )


# Table 3, with the parameters in millions that the paper states; PAPER's base row and the rows that differ from it.
TABLE_3 = {
    "base": ({}, 65),
    "B d_k 16": ({"d_k": 16}, 58),
    "B d_k 32": ({"d_k": 32}, 60),
    "C 2 layers": ({"layers": 2}, 36),
    "C 4 layers": ({"layers": 4}, 50),
    "C 8 layers": ({"layers": 8}, 80),
    "C d_model 256": ({"d_model": 256, "d_k": 32, "d_v": 32}, 28),
    "C d_model 1024": ({"d_model": 1024, "d_k": 128, "d_v": 128}, 168),
    "C d_ff 1024": ({"d_ff": 1024}, 53),
    "C d_ff 4096": ({"d_ff": 4096}, 90),
}


def parameters(config: TransformerConfig) -> int:
    with torch.device("meta"):
        return sum(Transformer(config).parameter_counts().values())


@pytest.mark.parametrize(("changes", "millions"), TABLE_3.values(), ids=TABLE_3.keys())
def test_one_vocabulary_near_41_000_gives_every_base_sized_row_of_table_3(
    changes, millions
):
    assert (
        round(parameters(TransformerConfig.base(41_100, **changes)) / 1e6) == millions
    )


@pytest.mark.parametrize(("heads", "d_head"), [(1, 512), (4, 128), (16, 32), (32, 16)])
def test_the_number_of_heads_changes_no_parameter_count(heads, d_head):
    rows = (
        TransformerConfig.base(heads=heads, d_k=d_head, d_v=d_head),
        TransformerConfig.base(),
    )
    assert parameters(rows[0]) == parameters(rows[1])


def test_no_vocabulary_fits_both_base_and_big():
    assert parameters(TransformerConfig.base(37_000)) == 44_101_632 + 512 * 37_000

    def vocabularies(preset, millions):
        without = parameters(preset(1)) - preset(1).d_model
        return {
            v
            for v in range(30_000, 45_000, 10)
            if round((without + preset(1).d_model * v) / 1e6) == millions
        }

    base, big = (
        vocabularies(TransformerConfig.base, 65),
        vocabularies(TransformerConfig.big, 213),
    )
    assert base
    assert big
    assert max(big) < min(base)


def test_counted_parts_are_all_parts():
    model = Transformer(
        TransformerConfig.tiny(
            50, norm="pre", positions="learned", target_vocabulary=20
        )
    )
    assert sum(model.parameter_counts().values()) == sum(
        p.numel() for p in model.parameters()
    )
    assert all(model.parameter_counts().values())


@settings(max_examples=10)
@given(
    st.sampled_from(
        [
            {},
            {"target_vocabulary": 7},
            {"tied": False},
            {"tied": False, "target_vocabulary": 7},
        ]
    )
)
def test_tied_matrices_are_one_matrix(changes):
    model = Transformer(TransformerConfig.tiny(11, **changes))
    tied = changes.get("tied", True)
    assert (model.generator.weight is model.target_embedding.weight) == tied
    assert (model.source_embedding is model.target_embedding) == (
        tied and "target_vocabulary" not in changes
    )
    copy = Transformer(model.config)
    copy.load_state_dict(model.state_dict())
    assert (copy.generator.weight is copy.target_embedding.weight) == tied


def test_presets_are_the_papers():
    assert TransformerConfig.base() == TransformerConfig()
    big = TransformerConfig.big()
    assert (big.d_model, big.d_ff, big.heads, big.layers, big.dropout) == (
        1024,
        4096,
        16,
        6,
        0.3,
    )
    assert TransformerConfig.big(dropout=0.1).dropout == 0.1


@pytest.mark.parametrize(
    ("choice", "range_of_it"),
    [
        ({"vocabulary": -1}, "vocabulary=-1; choose 0 or more"),
        ({"layers": -1}, "layers=-1; choose 0 or more"),
        ({"heads": 0}, "heads=0; choose 1 or more"),
        ({"heads": -4}, "heads=-4; choose 1 or more"),
        ({"d_model": 0}, "d_model=0; choose 1 or more"),
        ({"d_k": 0}, "d_k=0; choose 1 or more"),
        ({"target_vocabulary": 0}, "target_vocabulary=0; choose 1 or more"),
        ({"dropout": 1.5}, "dropout=1.5; choose 0 to 1"),
        ({"norm": "both"}, "norm='both'; choose 'post' or 'pre'"),
        ({"positions": "none"}, "positions='none'; choose 'sinusoidal'"),
    ],
)
def test_a_config_refuses_numbers_out_of_range(no_shape_checks, choice, range_of_it):
    with pytest.raises(ValueError, match=re.escape(range_of_it)):
        TransformerConfig(**choice)
    with pytest.raises(ValueError, match="choose"):
        RecurrentConfig(**{"layers": 0, "attention": "none"})


def test_embeddings_and_positions_start_at_one_size():
    """Why the embeddings are scaled by √d_model: they start with variance 1/d_model, the sinusoids with 1/2."""
    model = Transformer(TransformerConfig.base(1000)).eval()
    embedded = model.embed(
        torch.randint(0, 1000, (1, 100)), model.source_embedding, nn.Identity()
    )
    assert 0.95 < embedded.var() < 1.05
