"""Numbers that a notebook's prose may cite although none of its cells computes them, by source.

Everything else in the prose must stand in that notebook's own code or outputs (tests/test_notebooks.py).
"""

# "Attention Is All You Need", arXiv 1706.03762 version 7.
PAPER = {
    "2017",
    *("6", "512", "2048", "8", "64", "0.1"),  # the base model (Table 3)
    "4,000",  # steps of warm-up, section 5.3
    "37,000",  # byte-pair vocabulary, section 5.1
    "65",  # millions of parameters of the base model, Table 3
    "213",  # and of the big one
    "27.3",  # BLEU, base, English to German, Table 2
    "28.4",  # BLEU, big
    *("24.9", "25.8", "25.4", "0.9"),  # BLEU by heads, Table 3 (A), section 6.2
    "25.7",  # BLEU with learned positions, Table 3 (E)
}

# Results of others, each with the key of its entry in book/references.bib.
PUBLISHED: dict[str, set[str]] = {
    "sutskever2014sequence": {
        "1,000",
        "8,000",
        "25.9",
        "30.6",
    },  # sizes, and BLEU with the source reversed (section 3)
    "sun2019token": {"19.88"},  # word error, from the abstract
    "cmusphinxg2p": {
        "20.2",
        "31",
        "2007",
    },  # word error on two versions of the dictionary, from the README
}
