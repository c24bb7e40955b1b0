"""minitfm: a Transformer grown chapter by chapter, from the limits of recurrence to "Attention Is All You Need".

Each module is one chapter's argument in code, and imports only from chapters before it. Import what you need from the
module that teaches it: ``from minitfm.transformer import Transformer, TransformerConfig``.
"""

__version__ = "0.1.0"
