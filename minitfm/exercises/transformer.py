"""Exercises of chapter 9: the pieces of the Transformer, and the learner's own
attention inside it.
"""

from typing import Any

from torch import Tensor, nn

from minitfm.attention import scaled_dot_product_attention
from minitfm.exercises import attention
from minitfm.exercises.counting import cross_shape, parameters
from minitfm.exercises.engine.answer import Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.engine.observe import Outcome
from minitfm.exercises.engine.plug import plugged
from minitfm.exercises.engine.show import Result
from minitfm.exercises.stack import (
    config,
    decode,
    decoder,
    decoder_layer,
    encoder_layer,
    filled,
)
from minitfm.exercises.writing import greedy, teacher_forcing_loss
from minitfm.positional import LearnedPositions, SinusoidalPositions
from minitfm.transformer import Transformer, TransformerConfig


def _embeddings(draw: Draw) -> list[Case]:
    def case(note: str, positions: str, grad: bool = False) -> Case:
        sizes = draw.sizes("batch token half")
        sizes["d_model"] = 2 * sizes.pop("half")
        embedding = filled(draw, nn.Embedding(11, sizes["d_model"]))
        learned = LearnedPositions(sizes["d_model"], sizes["token"] + 2)
        added = (
            filled(draw, learned)
            if positions == "learned"
            else SinusoidalPositions(sizes["d_model"])
        )
        return Case(
            (draw.tokens(sizes["batch"], sizes["token"]), embedding, added),
            (),
            note,
            sizes,
            grad,
        )

    return [
        case("with sinusoids", "sinusoidal"),
        case("with learned positions", "learned"),
        case("gradients", "learned", grad=True),
        case("with sinusoids", "sinusoidal"),
    ]


def embed_reference(
    tokens: Tensor, embedding: nn.Embedding, positions: nn.Module
) -> Tensor:
    """The package's `Transformer.embed`, for a model without dropout."""
    model = Transformer(
        TransformerConfig.tiny(
            2, d_model=embedding.embedding_dim, heads=1, d_ff=1, layers=0
        )
    ).eval()
    return model.embed(tokens, embedding, positions)


embed = Exercise(
    name="embed",
    statement="Write `embed(tokens, embedding, positions)`: look the tokens up in `embedding` (an `nn.Embedding`), "
    "multiply by √d_model (section 3.4), and call `positions`, which adds the positions to what it is "
    "given (section 3.5).",
    stub='''def embed(tokens, embedding, positions):
    """tokens (batch, token), whole numbers -> (batch, token, d_model)"""
    raise NotImplementedError
''',
    reference=embed_reference,
    source="""def embed(tokens, embedding, positions):
    d_model = embedding.embedding_dim
    return positions(embedding(tokens) * math.sqrt(d_model))""",
    cases=_embeddings,
    axes=("batch", "token", "d_model"),
    words="number {d_model} of token {token} is {got}, expected {want}",
    hints=(
        "Two calls and a product; what matters is their order.",
        "The embedding's entries have variance 1/d_model, the sinusoids reach 1: the embedding is what must grow.",
        "`positions(embedding(tokens) * math.sqrt(d_model))`; d_model is `embedding.embedding_dim`.",
    ),
    mistakes=(
        mistake(
            "√d_model forgotten",
            """You do not scale the embedding. Its entries have variance 1/d_model, and beside sinusoids of size 1 the
            token all but vanishes: multiply by √d_model before the positions are added (section 3.4).""",
            (" * math.sqrt(d_model)", ""),
        ),
        mistake(
            "√d_model after the positions",
            """You multiply the sum by √d_model, positions included, so they still drown the token. The factor belongs
            to the embedding, before `positions` (section 3.4).""",
            (
                "positions(embedding(tokens) * math.sqrt(d_model))",
                "positions(embedding(tokens)) * math.sqrt(d_model)",
            ),
        ),
        mistake(
            "divided by √d_model",
            """You divide by √d_model, as attention does with its scores. Embeddings are multiplied by it (section
            3.4).""",
            ("* math.sqrt", "/ math.sqrt"),
        ),
        mistake(
            "times d_model",
            """You multiply by d_model; section 3.4 has its root.""",
            ("math.sqrt(d_model)", "d_model"),
        ),
        mistake(
            "no positions",
            """You never call `positions`: without them the model sees a bag of tokens, for attention knows no order
            (section 3.5).""",
            (
                "positions(embedding(tokens) * math.sqrt(d_model))",
                "embedding(tokens) * math.sqrt(d_model)",
            ),
        ),
        mistake(
            "token added twice",
            """You add the embedding to what `positions` returns. `positions(x)` is already x plus the positions, so
            the token is in it twice.""",
            (
                "return positions(",
                "return embedding(tokens) * math.sqrt(d_model) + positions(",
            ),
        ),
        mistake(
            "scaled by the vocabulary",
            """You scale by the root of the vocabulary's size, `embedding.num_embeddings`. It is the width, d_model =
            `embedding.embedding_dim` (section 3.4).""",
            ("embedding.embedding_dim", "embedding.num_embeddings"),
        ),
        mistake(
            "gradient cut at the embedding",
            """The values are right, but nothing reaches the embedding's weights: you look them up detached (`.data`,
            `.detach()`). Call `embedding(tokens)`.""",
            ("embedding(tokens)", "embedding(tokens).detach()"),
        ),
    ),
    difficulty=2,
    minutes=6,
)


class Inside(Exercise):
    """An exercise that grades the learner's attention alone, and then the whole
    Transformer with it plugged in.
    """

    def observe(
        self, candidate: Any, case: Case, seconds: float = 60.0, seed: int = 0
    ) -> Outcome:
        """Run the model of the case with the candidate inside."""

        def run(model: Transformer, source: Tensor, target: Tensor) -> Tensor:
            with plugged(scaled_dot_product_attention=candidate):
                return model(source, target)

        return super().observe(run, case, seconds, seed)

    def _unusable(self, answer: Any) -> str:
        return ""  # it has passed alone

    def _grade(self, answer: Any) -> Result:
        alone = attention.scaled_dot_product.grade(answer)
        return (
            super()._grade(answer)
            if alone
            else Result(self.name, False, alone.message, alone.kind, alone.mistakes)
        )


def _models(draw: Draw) -> list[Case]:
    def case(
        note: str, spread: float = 0.5, left: bool = False, grad: bool = False
    ) -> Case:
        sizes = draw.sizes("batch source target heads")
        sizes["d_model"] = 6 * sizes["heads"]
        model = filled(draw, Transformer(config(sizes, layers=2)), spread)
        source = draw.tokens(sizes["batch"], sizes["source"] + 1, 11)
        target = draw.tokens(sizes["batch"], sizes["target"] + 1, 11)
        return Case(
            (model, source, target.flip(1) if left else target), (), note, sizes, grad
        )

    return [
        case("in the model"),
        case("in the model, with padding in front", left=True),
        case("in the model, with large weights", spread=6.0),
        case("gradients of the model", grad=True),
    ]


attention_inside = Inside(
    name="attention_inside",
    statement="Put your own `scaled_dot_product_attention(query, key, value, mask=None)` into the whole "
    "Transformer: `with plugged(scaled_dot_product_attention=mine): …`. The checker runs a small model "
    "with it, encoder, decoder and gradients, and compares every logit; then train it on the dates.",
    stub=attention.scaled_dot_product.stub,
    reference=scaled_dot_product_attention,
    source=attention.scaled_dot_product.source,
    cases=_models,
    axes=("batch", "target", "vocabulary"),
    words="token {target}'s logit for symbol {vocabulary} is {got}, expected {want}",
    hints=(
        (
            "It is chapter 4's function; what is new is where it runs: 18 times in a base model, under three "
            "kinds of masks."
        ),
        (
            "The heads come in the batch: (batch · heads, query, d_k), the mask likewise, always with as many "
            "rows as queries."
        ),
        (
            "If the logits are NaN, look at rows in which nothing may be attended to: padding in front of a "
            "target makes some."
        ),
    ),
    mistakes=attention.scaled_dot_product.mistakes,
    difficulty=5,
    minutes=25,
)

_chapter = Chapter(
    "Chapter 9, the Transformer",
    [
        cross_shape,
        parameters,
        embed,
        teacher_forcing_loss,
        encoder_layer,
        decoder_layer,
        decoder,
        decode,
        greedy,
        attention_inside,
    ],
)
progress = _chapter.progress
