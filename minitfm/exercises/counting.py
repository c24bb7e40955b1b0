"""Exercises of chapter 9 whose answer is a number or a shape."""

import functools

import torch

from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.exercise import mistake
from minitfm.transformer import Transformer, TransformerConfig


@functools.cache
def parameters_of_base() -> int:
    """Count the numbers of the paper's base model with 37,000 symbols."""
    with torch.device("meta"):
        return sum(Transformer(TransformerConfig.base()).parameter_counts().values())


D, FF, V = 512, 2048, 37_000

parameters = Answer(
    name="parameters",
    statement="How many trained numbers has the paper's base model: d_model 512, d_ff 2048, 8 heads, 6 + 6 layers, "
    "one embedding of 37,000 symbols that source, target and output share? Attention has no biases, the "
    "feed-forward network has both, LayerNorm has gain and bias.",
    stub="answer = ...\n",
    source="""d_model, d_ff, vocabulary = 512, 2048, 37_000
attention = 4 * d_model**2
feed_forward = 2 * d_model * d_ff + d_ff + d_model
norm = 2 * d_model
encoder = 6 * (attention + feed_forward + 2 * norm)
decoder = 6 * (2 * attention + feed_forward + 3 * norm)
answer = encoder + decoder + vocabulary * d_model""",
    reference=parameters_of_base,
    hints=(
        (
            "Count one attention layer, one feed-forward network, one norm, one embedding; then how often each occurs."
        ),
        (
            "Attention: four matrices d_model × d_model, whatever the number of heads. An encoder layer has one "
            "attention and two norms, a decoder layer two and three."
        ),
        "6 · (attention + feed-forward + 2 norms) + 6 · (2 attentions + feed-forward + 3 norms) + 37,000 · 512.",
    ),
    mistakes=(
        mistake(
            "generator not tied",
            """You count the output projection besides the embedding. They are one matrix here (section 3.4):
            V·d_model once.""",
            wrong=44_101_632 + 2 * V * D,
        ),
        mistake(
            "three embeddings",
            """You count three matrices of V·d_model: source, target, output. The paper shares one (section 3.4).""",
            wrong=44_101_632 + 3 * V * D,
        ),
        mistake(
            "no embedding",
            """The embedding is missing: V·d_model = 18,944,000, almost a third of the model.""",
            wrong=44_101_632,
        ),
        mistake(
            "projection biases",
            """You give the attention projections biases, 4·512 in each of 18 layers. Section 3.2.2 has matrices
            alone.""",
            wrong=44_101_632 + V * D + 18 * 4 * D,
        ),
        mistake(
            "no feed-forward biases, or no norms",
            """You are 30,720 short. By chance that is the biases of all feed-forward networks, 12·(2048 + 512), as well
            as gain and bias of all norms, 30·2·512: which of the two did you leave out?""",
            wrong=44_101_632 + V * D - 12 * (FF + D),
        ),
        mistake(
            "norms without bias",
            """Your norms have a gain alone; LayerNorm learns gain **and** bias, 2·512 numbers each.""",
            wrong=44_101_632 + V * D - 30 * D,
        ),
        mistake(
            "no cross-attention",
            """Each decoder layer has one attention too few: it looks at its own past and at the encoder's output
            (Figure 1).""",
            wrong=44_101_632 + V * D - 6 * 4 * D * D,
        ),
        mistake(
            "no cross-attention and no norm",
            """You count the decoder layers like encoder layers. They have a second attention, to the encoder's
            output, with a norm of its own (Figure 1).""",
            wrong=44_101_632 + V * D - 6 * (4 * D * D + 2 * D),
        ),
        mistake(
            "every head at full width",
            """You give every head matrices of d_model × d_model. The heads share the width, d_k = d_model/h = 64:
            all of them together make one such matrix (section 3.2.2).""",
            wrong=44_101_632 + V * D + 18 * 3 * 7 * D * D,
        ),
        mistake(
            "output projection missing",
            """You count three matrices in each attention layer. The fourth is W^O (section 3.2.2).""",
            wrong=44_101_632 + V * D - 18 * D * D,
        ),
        mistake(
            "final norms",
            """You count a final norm after encoder and decoder. Those belong to pre-norm; the paper is post-norm,
            where each layer ends with its norm.""",
            wrong=44_101_632 + V * D + 2 * 2 * D,
        ),
        mistake(
            "the paper's figure",
            """65 million is what Table 3 says, but it fits no vocabulary of 37,000: count for yourself, and see
            what is left over.""",
            wrong=65_000_000,
        ),
    ),
    difficulty=2,
    minutes=10,
)

cross_shape = Answer(
    name="cross_shape",
    statement="32 sentences of 20 source tokens and 15 target tokens run through the base model (8 heads, d_model "
    "512). Which shape have the attention weights of a decoder layer's cross-attention?",
    stub="answer = ...\n",
    source="# (batch, heads, query, key): the target asks, the source is asked",
    reference=lambda: (32, 8, 15, 20),
    hints=(
        "Who asks, and who is asked?",
        "The decoder's tokens are the queries; the encoder's output gives keys and values (section 3.2.3).",
        "Weights are (batch, heads, query, key).",
    ),
    mistakes=(
        mistake(
            "query and key exchanged",
            "You exchanged queries and keys: the target asks, the source is asked.",
            wrong=(32, 8, 20, 15),
        ),
        mistake(
            "heads missing",
            "The heads are missing: each has weights of its own.",
            wrong=(32, 15, 20),
        ),
        mistake(
            "heads last",
            "The heads stand second here, so that attention works on the last two axes.",
            wrong=(32, 15, 20, 8),
        ),
        mistake(
            "heads before the batch",
            "The batch comes first, then the heads.",
            wrong=(8, 32, 15, 20),
        ),
        mistake(
            "self-attention of the target",
            "That is the decoder's self-attention, target by target.",
            wrong=(32, 8, 15, 15),
        ),
        mistake(
            "self-attention of the source",
            "That is the encoder's self-attention, source by source.",
            wrong=(32, 8, 20, 20),
        ),
        mistake(
            "the result",
            "That is the result of a cross-attention layer; the weights have a key on the last axis.",
            wrong=(32, 15, 512),
        ),
        mistake(
            "the queries",
            "Those are the queries, (batch, heads, target, d_k); the weights have a key on the last axis.",
            wrong=(32, 8, 15, 64),
        ),
        mistake(
            "batch missing",
            "The batch is missing: every sentence has weights of its own.",
            wrong=(8, 15, 20),
        ),
    ),
    difficulty=1,
    minutes=3,
)
