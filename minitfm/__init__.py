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
        shows: what the reader will see measured, for the table of chapters.
    """

    number: int
    notebook: str
    title: str
    question: str
    modules: tuple[str, ...] = ()
    minutes: int = 0
    shows: str = ""

    @property
    def slug(self) -> str:
        """The notebook's name without its number."""
        return self.notebook.partition("_")[2]

    @property
    def written(self) -> bool:
        """Whether the chapter exists, or is still planned."""
        return self.minutes > 0


# The parts: the number of the first chapter, and what the part is called.
PARTS = (
    (1, "Recurrence and its limits"),
    (4, "Attention"),
    (7, "The Transformer"),
    (10, "Making it work"),
    (15, "What it became"),
)

# The chapters in their order: the one place that knows it. A lesson imports only what
# stands above it here.
CHAPTERS = (
    Chapter(
        1,
        "01_rnn",
        "Recurrent networks",
        "How can a network read one symbol after another?",
        ("rnn",),
        45,
        shows="A character model that invents names of countries; how fast its "
        "gradients fade with distance",
    ),
    Chapter(
        2,
        "02_lstm",
        "LSTM and GRU",
        "Can a network choose what to keep?",
        ("lstm",),
        40,
        shows="Gates, one by one, and what breaks without each; how far a "
        "gradient reaches, before training and after",
    ),
    Chapter(
        3,
        "03_seq2seq",
        "Sequence to sequence",
        "How do two sequences of different length meet?",
        ("masks", "seq2seq"),
        40,
        shows="Dates from English to Japanese through one fixed vector, and where "
        "that vector becomes too small",
    ),
    Chapter(
        4,
        "04_attention",
        "Attention",
        "What if the decoder could look back?",
        ("attention", "attentive"),
        30,
        shows="A soft dictionary to drag a query through; the same tasks and budget "
        "with attention, at every length; why scores are divided by √dₖ; "
        "what each projection is for",
    ),
    Chapter(
        5,
        "05_self_attention",
        "Self-attention",
        "Why only between two sequences?",
        shows="A head that you set by hand, then learned; masks, and proof that "
        "nothing leaks; long distances and cost against an LSTM, measured",
        minutes=35,
    ),
    Chapter(
        6,
        "06_multi_head",
        "Multi-head attention",
        "Why is one weighting not enough?",
        ("multihead",),
        30,
        shows="A task that needs two relations at once: why no width saves a single "
        "head, and what does; what heads cost",
    ),
    Chapter(
        7,
        "07_positions",
        "Positions",
        "Where did the order go?",
        ("positional",),
        35,
        shows="Clock hands to turn; interleaved and side by side, exactly; sinusoids, "
        "learned and rotary positions at the trained length and beyond",
    ),
    Chapter(
        8,
        "08_layers",
        "Layers",
        "What makes depth trainable?",
        ("layers",),
        25,
        shows="Gradients through 32 layers with and without residual connections; "
        "four places for the norm, trained 18 layers deep; what warm-up saves",
    ),
    Chapter(
        9,
        "09_transformer",
        "The Transformer",
        "How do the parts make one model?",
        ("transformer",),
        40,
        shows="One date followed through the whole model; the model against those of "
        "chapters 3 and 4 at equal parameters; what each piece is worth",
    ),
    Chapter(
        10,
        "10_text",
        "Text",
        "How does language become tensors?",
        ("text",),
        shows="Byte-pair encoding by hand, then with a library; batches that "
        "waste little",
    ),
    Chapter(
        11,
        "11_training",
        "Training",
        "Why does the paper train the way it does?",
        ("training",),
        shows="Label smoothing, the learning-rate schedule, checkpoints, "
        "overfitting by model size",
    ),
    Chapter(
        12,
        "12_decoding",
        "Decoding",
        "How does the model write?",
        ("decoding",),
        shows="Greedy, beam and sampling; a cache that changes the speed and not "
        "the words",
    ),
    Chapter(
        13,
        "13_looking_inside",
        "Looking inside",
        "What did the heads learn?",
        shows='Whom "it" attends to; heads switched off; why a picture is not an '
        "explanation",
    ),
    Chapter(
        14,
        "14_cost",
        "Cost",
        "What does attention cost?",
        shows="Operations, memory and time by length; which steps stay sequential",
    ),
    Chapter(
        15,
        "15_bert",
        "BERT",
        "What does an encoder learn alone?",
        shows="Masked language modeling; real pretrained weights loaded into our "
        "encoder",
    ),
    Chapter(
        16,
        "16_gpt",
        "GPT",
        "What does a decoder learn alone?",
        shows="Names and Shakespeare, and what separates this from ChatGPT",
    ),
    Chapter(
        17,
        "17_paper",
        "The paper at laptop scale",
        "What holds at our scale?",
        shows="The paper's tables re-run small, with seeds and confidence intervals",
    ),
    Chapter(
        18,
        "18_today",
        "From 2017 to today",
        "What has changed since?",
        shows="RMSNorm, rotary positions, SwiGLU and grouped queries, each as a "
        "change of ten lines and measured",
    ),
)
