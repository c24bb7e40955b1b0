"""minitfm: a Transformer grown chapter by chapter, from the limits of recurrence to
"Attention Is All You Need".

The modules in this folder are the lessons: each is one chapter's argument in code and
imports only lessons before it. Import what you need from the module that teaches it:
``from minitfm.transformer import Transformer, TransformerConfig``.

The folders are everything else: ``study`` is what the notebooks share, ``exercises``
the checker, ``fast`` the same layers at speed, ``translate`` the command line and what
it stands on, ``web`` the live pages, ``results`` the tables of long runs.
"""

from typing import NamedTuple

__version__ = "0.2.0"


class Chapter(NamedTuple):
    """One chapter of the course.

    Attributes:
        number: counted from 1.
        notebook: the notebook's name without its ending; behind its number stands the
            slug, which names the module of the chapter's exercises, too.
        title: as the course calls it.
        question: what it opens with.
        modules: the lessons that it brings, the first one first.
        minutes: to read it and run its cells on a laptop; 0 while it is planned.
    """

    number: int
    notebook: str
    title: str
    question: str
    modules: tuple[str, ...] = ()
    minutes: int = 0

    @property
    def slug(self) -> str:
        """The notebook's name without its number."""
        return self.notebook.partition("_")[2]

    @property
    def written(self) -> bool:
        """Whether the chapter exists, or is still planned."""
        return self.minutes > 0


# The chapters in their order: the one place that knows it. A lesson imports only what
# stands above it here.
CHAPTERS = (
    Chapter(
        1,
        "01_rnn",
        "Recurrent networks",
        "How can a network read one symbol after another?",
        ("rnn",),
        60,
    ),
    Chapter(
        2,
        "02_lstm",
        "LSTM and GRU",
        "Can a network choose what to keep?",
        ("lstm",),
        60,
    ),
    Chapter(
        3,
        "03_seq2seq",
        "Sequence to sequence",
        "How do two sequences of different length meet?",
        ("masks", "seq2seq"),
        60,
    ),
    Chapter(
        4,
        "04_attention",
        "Attention",
        "What if the decoder could look back?",
        ("attention", "attentive"),
    ),
    Chapter(
        5,
        "05_self_attention",
        "Self-attention",
        "Why only between two sequences?",
    ),
    Chapter(
        6,
        "06_multi_head",
        "Multi-head attention",
        "Why is one weighting not enough?",
        ("multihead",),
    ),
    Chapter(
        7,
        "07_positions",
        "Positions",
        "Where did the order go?",
        ("positional",),
    ),
    Chapter(
        8,
        "08_layers",
        "Layers",
        "What makes depth trainable?",
        ("layers",),
    ),
    Chapter(
        9,
        "09_transformer",
        "The Transformer",
        "How do the parts make one model?",
        ("transformer",),
        60,
    ),
    Chapter(
        10,
        "10_text",
        "Text",
        "How does language become tensors?",
        ("text",),
    ),
    Chapter(
        11,
        "11_training",
        "Training",
        "Why does the paper train the way it does?",
        ("training",),
    ),
    Chapter(
        12,
        "12_decoding",
        "Decoding",
        "How does the model write?",
        ("decoding",),
    ),
    Chapter(13, "13_looking_inside", "Looking inside", "What did the heads learn?"),
    Chapter(14, "14_cost", "Cost", "What does attention cost?"),
    Chapter(15, "15_bert", "BERT", "What does an encoder learn alone?"),
    Chapter(16, "16_gpt", "GPT", "What does a decoder learn alone?"),
    Chapter(17, "17_paper", "The paper at laptop scale", "What holds at our scale?"),
    Chapter(18, "18_today", "From 2017 to today", "What has changed since?"),
)
