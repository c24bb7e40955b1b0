"""Exercises of chapter 9: the layers, their stack, and decoding."""

from typing import Any

import torch
from torch import nn

from minitfm import masks, transformer
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.layers import FeedForward
from minitfm.transformer import Transformer, TransformerConfig

# What the stubs make their layers with.
PARTS = {
    "FeedForward": FeedForward,
    "attention_layer": transformer.attention_layer,
    "residual_layer": transformer.residual_layer,
    "final_norm": transformer.final_norm,
}


def filled(draw: Draw, module: nn.Module, spread: float = 0.5) -> nn.Module:
    """Give a module weights that tell mistakes apart, in float64 and in evaluation
    mode.
    """
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(draw.normal(*parameter.shape, spread=spread))
    return module


def config(sizes: dict[str, int], **changes: Any) -> TransformerConfig:
    return TransformerConfig.tiny(
        11,
        **{
            "d_model": sizes["d_model"],
            "d_ff": 7,
            "heads": sizes["heads"],
            "layers": 1,
            "dropout": 0.0,
            **changes,
        },
    )


def _layers(draw: Draw, decoder: bool, layers: int = 1) -> list[Case]:
    def case(
        note: str,
        norm: str,
        grad: bool = False,
        dtype: torch.dtype = torch.float64,
        **same: int,
    ) -> Case:
        sizes = {**draw.sizes("batch target source heads"), **same}
        sizes["d_model"] = 2 * sizes["heads"]
        batch, target, source, _, d_model = sizes.values()
        x, memory = (
            draw.normal(batch, target, d_model, dtype=dtype),
            draw.normal(batch, source, d_model, dtype=dtype),
        )
        mask, memory_mask = (
            draw.mask(batch, target, target),
            draw.mask(batch, 1, source),
        )
        args = (x, memory, mask, memory_mask) if decoder else (x, mask)
        return Case(args, (config(sizes, norm=norm, layers=layers),), note, sizes, grad)

    return [
        case("post-norm", "post"),
        case("pre-norm", "pre"),
        case(
            "post-norm, with as many source tokens as target tokens",
            "post",
            target=5,
            source=5,
        ),
        case("post-norm in float32", "post", dtype=torch.float32),
        case("gradients, post-norm", "post", grad=True),
        case("gradients, pre-norm", "pre", grad=True),
    ]


ENCODER = """class EncoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = attention_layer(config)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1, self.residual_2 = residual_layer(config), residual_layer(config)

    def forward(self, x, mask):
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        return self.residual_2(x, self.feed_forward)"""

encoder_layer = Exercise(
    name="encoder_layer",
    statement="Write the `forward` of `EncoderLayer`: self-attention, then the feed-forward network, each in its "
    "residual (Figure 1, left). `self.residual_1(x, sublayer)` calls `sublayer`, adds and normalizes, "
    "wherever the norm stands.",
    stub=ENCODER[: ENCODER.index("        x = ")]
    + '        """x (batch, source, d_model), mask (batch, 1 or source, source) -> (batch, source, d_model)"""\n'
    "        raise NotImplementedError\n",
    reference=transformer.EncoderLayer,
    source=ENCODER,
    names=PARTS,
    cases=lambda draw: _layers(draw, decoder=False),
    axes=("batch", "source", "d_model"),
    words="number {d_model} of token {source} is {got}, expected {want}",
    hints=(
        "Two lines: each hands x and a function to a residual.",
        (
            "The feed-forward network is such a function already; self-attention needs three inputs and the mask:"
            " wrap it in a `lambda y: …`."
        ),
        "`self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))`; y may be normalized where x is not.",
    ),
    mistakes=(
        mistake(
            "mask not passed on",
            """Your self-attention gets no mask: every token attends to the padding, too. `self.self_attention(y, y,
            y, mask)`.""",
            ("(y, y, y, mask)", "(y, y, y)"),
        ),
        mistake(
            "no residual around attention",
            """Your self-attention has no residual: x does not get past it (Figure 1, "Add & Norm"). Hand it to
            `self.residual_1`.""",
            (
                "self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))",
                "self.self_attention(x, x, x, mask)",
            ),
        ),
        mistake(
            "no residual around the feed-forward network",
            """Your feed-forward network has no residual (Figure 1, "Add & Norm"). Hand it to `self.residual_2`.""",
            ("self.residual_2(x, self.feed_forward)", "self.feed_forward(x)"),
        ),
        mistake(
            "one residual twice",
            """You use `self.residual_1` for both sublayers. Each "Add & Norm" of Figure 1 has a norm with weights
            of its own: the second is `self.residual_2`.""",
            ("return self.residual_2", "return self.residual_1"),
        ),
        mistake(
            "residuals exchanged",
            """You exchanged the residuals: `self.residual_1` belongs to the attention, `self.residual_2` to the
            feed-forward network. With the weights of another model that matters.""",
            ("x = self.residual_1", "x = self.residual_two"),
            ("self.residual_2(x", "self.residual_1(x"),
            ("self.residual_two", "self.residual_2"),
        ),
        mistake(
            "feed-forward network first",
            """Your feed-forward network comes before the attention. Figure 1 has self-attention below, the
            feed-forward network on top of it.""",
            (
                ENCODER[ENCODER.index("        x = ") :],
                "        x = self.residual_2(x, self.feed_forward)\n"
                + ENCODER[ENCODER.index("        x = ") : ENCODER.rindex("\n")].replace(
                    "x = self", "return self"
                ),
            ),
        ),
        mistake(
            "no feed-forward network",
            """The feed-forward network is missing: half of Figure 1's left side, and two thirds of its weights.""",
            ("return self.residual_2(x, self.feed_forward)", "return x"),
        ),
        mistake(
            "no self-attention",
            """The self-attention is missing: no token sees another.""",
            (
                "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))",
                "x = x",
            ),
        ),
        mistake(
            "norm bypassed",
            """Your attention works on x itself where the residual offers y: in pre-norm y is the normalized x. Use
            what the `lambda` is given.""",
            (
                "self.self_attention(y, y, y, mask)",
                "self.self_attention(x, x, x, mask)",
            ),
        ),
        mistake(
            "only the queries normalized",
            """Your queries are y, the normalized tokens in pre-norm, and keys and values the raw x. In
            self-attention all three are the same: `self.self_attention(y, y, y, mask)`.""",
            (
                "self.self_attention(y, y, y, mask)",
                "self.self_attention(y, x, x, mask)",
            ),
        ),
        mistake(
            "x added twice",
            """You add x around the residual, which has added it already.""",
            ("return self.residual_2(", "return x + self.residual_2("),
        ),
    ),
    difficulty=2,
    minutes=8,
)

DECODER_LAYER = """class DecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = attention_layer(config)
        self.cross_attention = attention_layer(config)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1, self.residual_2, self.residual_3 = residual_layer(config), residual_layer(config), residual_layer(config)

    def forward(self, x, memory, mask, memory_mask):
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))
        return self.residual_3(x, self.feed_forward)"""

SELF_LINE = (
    "        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))\n"
)
CROSS_LINE = "        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))\n"

decoder_layer = Exercise(
    name="decoder_layer",
    statement="Write the `forward` of `DecoderLayer`: masked self-attention, attention to the encoder's `memory`, "
    "feed-forward network, each in its residual (Figure 1, right). `mask` says what a target token may "
    "see of the target, `memory_mask` what it may see of the source.",
    stub=DECODER_LAYER[: DECODER_LAYER.index("        x = ")]
    + '        """x (batch, target, d_model), memory (batch, source, d_model) -> (batch, target, d_model)"""\n'
    "        raise NotImplementedError\n",
    reference=transformer.DecoderLayer,
    source=DECODER_LAYER,
    names=PARTS,
    cases=lambda draw: _layers(draw, decoder=True),
    axes=("batch", "target", "d_model"),
    words="number {d_model} of token {target} is {got}, expected {want}",
    hints=(
        "Three lines like the encoder layer's two. Who asks in the middle one, and who is asked?",
        "In cross-attention the target's tokens are the queries, the memory is keys and values (section 3.2.3).",
        "`self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))`.",
    ),
    mistakes=(
        mistake(
            "cross-attention's query and key exchanged",
            """In your cross-attention the memory asks and the target is asked. It is the target that looks
            something up in the source: queries from y, keys and values from `memory` (section 3.2.3).""",
            (
                "self.cross_attention(y, memory, memory, memory_mask)",
                "self.cross_attention(memory, y, y, memory_mask)",
            ),
            raises=True,
        ),
        mistake(
            "masks exchanged",
            """You exchanged the masks: `mask` is over the target's keys and belongs to self-attention,
            `memory_mask` over the source's and belongs to cross-attention.""",
            ("(y, y, y, mask)", "(y, y, y, memory_mask)"),
            ("memory, memory, memory_mask)", "memory, memory, mask)"),
            raises=True,
        ),
        mistake(
            "self-attention without its mask",
            """Your self-attention gets no mask: position 3 sees position 4, the very token that it is to predict.
            Pass `mask` (section 3.2.3).""",
            ("(y, y, y, mask)", "(y, y, y)"),
        ),
        mistake(
            "cross-attention without its mask",
            """Your cross-attention gets no mask: the target attends to the source's padding. Pass `memory_mask`.""",
            ("memory, memory, memory_mask)", "memory, memory)"),
        ),
        mistake(
            "no cross-attention",
            """The cross-attention is missing: the decoder never looks at the source, and can only invent.""",
            (CROSS_LINE, ""),
        ),
        mistake(
            "no self-attention",
            """The self-attention is missing: no target token sees what is already written.""",
            (SELF_LINE, ""),
        ),
        mistake(
            "no feed-forward network",
            """The feed-forward network is missing, the topmost sublayer of Figure 1's right side.""",
            ("return self.residual_3(x, self.feed_forward)", "return x"),
        ),
        mistake(
            "cross-attention first",
            """Your cross-attention comes before the self-attention. Figure 1: first the target's own past, then the
            source.""",
            (SELF_LINE + CROSS_LINE, CROSS_LINE + SELF_LINE),
        ),
        mistake(
            "cross-attention to itself",
            """Your cross-attention attends to the target itself: keys and values must be `memory`, the encoder's
            output (section 3.2.3).""",
            (
                "self.cross_attention(y, memory, memory, memory_mask)",
                "self.cross_attention(y, y, y, mask)",
            ),
        ),
        mistake(
            "one attention twice",
            """You use `self.self_attention` for both. They have weights of their own: the second is
            `self.cross_attention`.""",
            ("self.cross_attention(y", "self.self_attention(y"),
        ),
        mistake(
            "memory normalized again",
            """You normalize the memory inside the layer. In pre-norm the residual normalizes the queries' side
            only; the encoder has normalized its output already.""",
            (
                "self.cross_attention(y, memory, memory, memory_mask)",
                "self.cross_attention(y, self.residual_2.norm(memory), self.residual_2.norm(memory), memory_mask)",
            ),
        ),
        mistake(
            "norm bypassed",
            """Your self-attention works on x itself where the residual offers y: in pre-norm y is the normalized x.""",
            (
                "self.self_attention(y, y, y, mask)",
                "self.self_attention(x, x, x, mask)",
            ),
        ),
        mistake(
            "no residual around cross-attention",
            """Your cross-attention has no residual: what the target knew of itself is lost (Figure 1, "Add &
            Norm").""",
            (
                "self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))",
                "self.cross_attention(x, memory, memory, memory_mask)",
            ),
        ),
        mistake(
            "one residual twice",
            """You use `self.residual_2` for the last sublayer, too. Each "Add & Norm" has weights of its own: the
            third is `self.residual_3`.""",
            ("self.residual_3(x", "self.residual_2(x"),
        ),
    ),
    difficulty=3,
    minutes=12,
)

DECODER = """class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = final_norm(config)

    def forward(self, x, memory, mask, memory_mask):
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
        return self.norm(x)"""

decoder = Exercise(
    name="decoder",
    statement="Write the `forward` of `Decoder`: run the layers one after another, each with the same `memory`, "
    "then `self.norm`, which does nothing in post-norm and is the final norm in pre-norm.",
    stub=DECODER[: DECODER.index("        for layer")]
    + '        """x (batch, target, d_model), memory (batch, source, d_model) -> (batch, target, d_model)"""\n'
    "        raise NotImplementedError\n",
    reference=transformer.Decoder,
    source=DECODER,
    names={"DecoderLayer": transformer.DecoderLayer, **PARTS},
    cases=lambda draw: _layers(draw, decoder=True, layers=3),
    axes=("batch", "target", "d_model"),
    words="number {d_model} of token {target} is {got}, expected {want}",
    hints=(
        "What goes from layer to layer, and what stays the same for all of them?",
        "`x = layer(x, memory, mask, memory_mask)` in a loop.",
        "After the loop `self.norm(x)`: in pre-norm nothing else has normalized the sum.",
    ),
    mistakes=(
        mistake(
            "final norm missing",
            """In pre-norm the sum that leaves the last layer was never normalized: end with `self.norm(x)`. In
            post-norm that is the identity, so nothing shows there.""",
            ("return self.norm(x)", "return x"),
        ),
        mistake(
            "layers side by side",
            """Every layer of yours gets the same input, and only the last one's output counts. Each layer works on
            what the one before it gave: `x = layer(x, …)`.""",
            ("        for layer", "        first = x\n        for layer"),
            ("layer(x, memory", "layer(first, memory"),
        ),
        mistake(
            "memory chained",
            """You hand each layer's output on as `memory`. The memory is the encoder's output, the same for every
            layer (Figure 1).""",
            (
                "x = layer(x, memory, mask, memory_mask)",
                "x = memory = layer(x, memory, mask, memory_mask)",
            ),
            raises=True,
        ),
        mistake(
            "decoder fed to itself",
            """You give the layers x as their memory: they attend to the target where they should attend to the
            source. The second input is `memory`.""",
            ("layer(x, memory, mask, memory_mask)", "layer(x, x, mask, mask)"),
        ),
        mistake(
            "only the first layer",
            """You return inside the loop: only the first layer runs.""",
            ("        return self.norm(x)", "            return self.norm(x)"),
        ),
        mistake(
            "last layer skipped",
            """The last layer never runs: an off-by-one in the loop.""",
            ("in self.layers:\n", "in self.layers[:-1]:\n"),
        ),
        mistake(
            "from top to bottom",
            """You run the layers from last to first. With weights that were trained in order that gives another
            model.""",
            ("in self.layers:\n", "in reversed(self.layers):\n"),
        ),
        mistake(
            "one layer repeated",
            """You run the first layer again and again. Each layer has weights of its own: call `layer`, not
            `self.layers[0]`.""",
            ("x = layer(", "x = self.layers[0]("),
        ),
        mistake(
            "norm after every layer",
            """You apply the final norm after every layer. In pre-norm the straight path must stay untouched from
            bottom to top, and is normalized once, after the loop.""",
            (
                "x = layer(x, memory, mask, memory_mask)",
                "x = self.norm(layer(x, memory, mask, memory_mask))",
            ),
            ("return self.norm(x)", "return x"),
        ),
        mistake(
            "residual around the stack",
            """You add the stack's input to its output. Every sublayer has a residual of its own; the stack has
            none.""",
            ("        for layer", "        first = x\n        for layer"),
            ("return self.norm(x)", "return self.norm(x) + first"),
        ),
        mistake(
            "masks exchanged",
            """You exchanged the masks: first `mask` (over the target), then `memory_mask` (over the source).""",
            (
                "mask, memory_mask)\n        return",
                "memory_mask, mask)\n        return",
            ),
            raises=True,
        ),
    ),
    difficulty=2,
    minutes=6,
)


def _decodings(draw: Draw) -> list[Case]:
    def case(note: str, left: bool = False, grad: bool = False) -> Case:
        sizes = draw.sizes("batch target source heads")
        sizes["d_model"], sizes["target"] = 2 * sizes["heads"], sizes["target"] + 1
        shape = config(sizes, tied=False, positions="learned", max_length=20)
        model = filled(draw, Transformer(shape))
        target = draw.tokens(sizes["batch"], sizes["target"], 11)
        memory, mask = (
            draw.normal(sizes["batch"], sizes["source"], sizes["d_model"]),
            draw.mask(sizes["batch"], 1, sizes["source"]),
        )
        return Case(
            (model, target.flip(1) if left else target, memory, mask),
            (),
            note,
            {**sizes, "vocabulary": 11},
            grad,
        )

    return [
        case("with padding at the end"),
        case("with padding in front", left=True),
        case("gradients", grad=True),
    ]


DECODE = """def decode(model, target, memory, memory_mask):
    mask = causal_mask(target.shape[1]) & padding_mask(target)
    x = model.embed(target, model.target_embedding, model.target_positions)
    return model.generator(model.decoder(x, memory, mask, memory_mask))"""

decode = Exercise(
    name="decode",
    statement="Write `decode(model, target, memory, memory_mask)`: the logits of the token after each target token."
    " A target token may see neither the future nor the padding, token 0. Use "
    "`model.embed(tokens, embedding, positions)`, `model.target_embedding`, `model.target_positions`, "
    "`model.decoder(x, memory, mask, memory_mask)`, `model.generator`, and `causal_mask` and "
    "`padding_mask`.",
    stub='''def decode(model, target, memory, memory_mask):
    """target (batch, target), memory (batch, source, d_model), memory_mask (batch, 1, source) -> logits"""
    raise NotImplementedError
''',
    reference=Transformer.decode,
    source=DECODE,
    names={"causal_mask": masks.causal_mask, "padding_mask": masks.padding_mask},
    cases=_decodings,
    axes=("batch", "target", "vocabulary"),
    words="token {target}'s logit for symbol {vocabulary} is {got}, expected {want}",
    hints=(
        (
            "Follow Figure 1 on the right from bottom to top: embedding, decoder, linear layer. Which mask does "
            "the decoder need?"
        ),
        "A target token may see what both masks allow: `causal_mask(…) & padding_mask(…)`.",
        (
            "`model.embed(target, model.target_embedding, model.target_positions)`, then `model.decoder`, then "
            "`model.generator`."
        ),
    ),
    mistakes=(
        mistake(
            "no causal mask",
            """Your decoder has no causal mask: each token sees the one that it is to predict. Training will look
            splendid and writing will fail. `causal_mask(target.shape[1]) & …` (section 3.2.3).""",
            ("causal_mask(target.shape[1]) & padding_mask(", "padding_mask("),
        ),
        mistake(
            "no padding mask",
            """Your target tokens attend to padding. Where the padding comes last the causal mask hides it from
            every real token, but here it also comes first: `… & padding_mask(target)`.""",
            (" & padding_mask(target)", "[None]"),
        ),
        mistake(
            "either mask suffices",
            """You join the masks with "or", so what one forbids the other allows. Both must hold: `&`.""",
            ("]) & padding", "]) | padding"),
        ),
        mistake(
            "embedding without scale and positions",
            """You call `model.target_embedding` alone: the factor √d_model and the positions are missing.
            `model.embed(target, …)` does all three (sections 3.4, 3.5).""",
            (
                "model.embed(target, model.target_embedding, model.target_positions)",
                "model.target_embedding(target)",
            ),
        ),
        mistake(
            "source embedding",
            """You look the target up in the **source's** embedding. With one shared matrix that is the same; this
            model has two.""",
            ("model.target_embedding", "model.source_embedding"),
        ),
        mistake(
            "source positions",
            """You use `model.source_positions`; learned positions differ between source and target.""",
            ("model.target_positions", "model.source_positions"),
        ),
        mistake(
            "no generator",
            """You return the decoder's vectors, (batch, target, d_model). `model.generator` makes logits over the
            vocabulary of them.""",
            (
                "model.generator(model.decoder(x, memory, mask, memory_mask))",
                "model.decoder(x, memory, mask, memory_mask)",
            ),
        ),
        mistake(
            "probabilities",
            """You return probabilities. The loss takes logits and does the softmax itself: leave it out here.""",
            ("memory_mask))", "memory_mask)).softmax(-1)"),
        ),
        mistake(
            "log-probabilities",
            """You return log-probabilities, and logits are asked for: leave the `log_softmax` to the loss.""",
            ("memory_mask))", "memory_mask)).log_softmax(-1)"),
        ),
        mistake(
            "source's padding ignored",
            """Your decoder attends to the source's padding: pass `memory_mask` on as it comes.""",
            (
                "memory, mask, memory_mask))",
                "memory, mask, torch.ones_like(memory_mask)))",
            ),
        ),
        mistake(
            "last token dropped",
            """You drop the last target token here. The shift belongs to the loss; `decode` gives logits for every
            token that it gets.""",
            ("    mask = causal", "    target = target[:, :-1]\n    mask = causal"),
        ),
    ),
    difficulty=3,
    minutes=12,
)
