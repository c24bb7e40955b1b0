"""The notebook's widgets: alive in JupyterLab and Colab, and the same view in the
static book.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from minitfm.seq2seq import greedy
from minitfm.study.extras import brought_by
from minitfm.study.vocabulary import BOS, EOS, SPECIAL, Vocabulary
from minitfm.transformer import Transformer
from minitfm.web.pages import (
    DATE_EXAMPLES,
    DATE_MODEL,
    DATE_PROMPT,
    attention_html,
    bundle,
    live_html,
)
from minitfm.web.reading import date_model, date_model_facts
from minitfm.web.weights import pack

with brought_by("notebook"):
    import anywidget

DIGITS = 3  # of a weight; more are not seen in a picture, and make the page heavier


class PageWidget(anywidget.AnyWidget):
    """A widget that also knows its form for a page without a kernel."""

    def html(self) -> str:
        """The same view as an element that runs by itself."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": self.html()}, metadata


@dataclass(frozen=True)
class Attention:
    """One kind of attention to look at, with all its layers and heads.

    Attributes:
        label: a short name, such as ``"Cross"``.
        weights: (layer, head, query, key); a single layer or a single head may lack its
            axis. None where scores are given.
        queries: the tokens that look.
        keys: the tokens that are looked at; the queries themselves unless said.
        causal: no query may look at a later key; with scores, give a mask instead.
        writes: the token that each query led to, if that is worth showing.
        caption: one sentence that says who looks at whom.
        scores: what the softmax makes weights of, of the weights' shape. The page does
            it anew whenever the reader switches a mask.
        masks: the switches, each a name with a boolean (query, key), True where a query
            may look at a key, as ``padding_mask`` and ``causal_mask`` make them.
    """

    label: str
    weights: Float[Tensor, "*layer_head query key"] | None
    queries: Sequence[str]
    keys: Sequence[str] | None = None
    causal: bool = False
    writes: Sequence[str] | None = None
    caption: str = ""
    scores: Float[Tensor, "*layer_head query key"] | None = None
    masks: Mapping[str, Tensor] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """What the front end draws.

        Raises:
            ValueError: if the weights, or the scores, do not fit the tokens, if there
                are both or neither, or if there are masks and no scores.
        """
        queries, keys = (
            list(self.queries),
            list(self.queries if self.keys is None else self.keys),
        )
        if (self.weights is None) == (self.scores is None):
            raise ValueError(
                "give either weights or scores; the page makes weights of the scores"
            )
        if self.masks and self.scores is None:
            raise ValueError(
                "masks act on scores, before the softmax: give scores= and weights=None"
            )
        drawn = self.weights if self.scores is None else self.scores
        assert drawn is not None
        shape = tuple(drawn.shape)
        if not 2 <= len(shape) <= 4 or shape[-2:] != (len(queries), len(keys)):
            raise ValueError(
                f"{'weights' if self.scores is None else 'scores'} of shape {shape} do"
                f" not fit {len(queries)} queries and"
                f" {len(keys)} keys; they should be (layer, head, query, key), or the"
                " last two or three of these"
            )
        layers = drawn.detach().cpu().double().reshape((1,) * (4 - len(shape)) + shape)
        causal = self.causal and self.scores is None
        rounded = [
            [
                [
                    _rounded(row[: i + 1] if causal else row)
                    for i, row in enumerate(head)
                ]
                for head in layer
            ]
            for layer in layers.tolist()
        ]
        view: dict[str, Any] = {
            "name": self.label.lower(),
            "label": self.label,
            "caption": self.caption,
        }
        view |= {"queries": queries, "keys": keys}
        view |= {"weights" if self.scores is None else "scores": rounded}
        if self.scores is not None:
            view["masks"] = [
                {"name": name.lower(), "label": name, "may": _switch(mask, shape[-2:])}
                for name, mask in self.masks.items()
            ]
        return view | ({"writes": list(self.writes)} if self.writes is not None else {})


def _switch(mask: Tensor, shape: tuple[int, ...]) -> list[list[int]]:
    if mask.dtype != torch.bool or mask.dim() != 2:
        raise ValueError(
            f"a mask is boolean and (query, key), True where a query may look; this is"
            f" {mask.dtype} and {tuple(mask.shape)}"
        )
    return mask.expand(shape).int().tolist()


def _rounded(row: list[float]) -> list[float | int]:
    return [round(weight, DIGITS) or 0 for weight in row]  # 0 is shorter than 0.0


class AttentionView(PageWidget):
    """Who attends to whom: lines between tokens, a heat map, a table.

    ``AttentionView.of(model, vocabulary, "4 March 2025")`` shows every attention of a
    translation, and ``AttentionView(Attention("Self-attention", weights, tokens))`` any
    weights at all.

    Attributes:
        selection: what is looked at, such as ``{"view": "cross", "layer": 1, "heads":
            [0, 2]}``; it follows the reader's clicks, and setting it moves the view.
    """

    _esm = bundle("attention-view.js")
    data = traitlets.Dict().tag(sync=True)
    selection = traitlets.Dict().tag(sync=True)

    def __init__(
        self, *attentions: Attention, start: dict[str, Any] | None = None
    ) -> None:
        """Look at some attentions.

        Args:
            attentions: what to choose from; the last one is shown first.
            start: what to show first instead, as in ``selection``, and with ``"focus":
                {"side": "query", "index": 3}`` also on which token to stand.
        """
        super().__init__()
        self.show(*attentions, start=start)

    def show(self, *attentions: Attention, start: dict[str, Any] | None = None) -> None:
        """Look at other attentions, in the same place."""
        if not attentions:
            raise ValueError(
                "there is nothing to look at; give at least one"
                ' Attention("Self-attention", weights, tokens)'
            )
        data: dict[str, Any] = {"views": [attention.data() for attention in attentions]}
        self.data = data | ({"start": start} if start else {})

    @classmethod
    def of(
        cls,
        model: Transformer,
        vocabulary: Vocabulary,
        source: Sequence[str],
        target: Sequence[str] | None = None,
        *,
        start: dict[str, Any] | None = None,
        max_length: int = 64,
    ) -> "AttentionView":
        """Look at every attention of a model while it translates.

        Args:
            model: the trained model.
            vocabulary: its symbols.
            source: what it reads: a string, or a list of symbols.
            target: what it writes; if not given, it translates greedily.
            start: what to show first, as in ``AttentionView``.
            max_length: where to stop a greedy translation that does not end.
        """
        return cls(
            *attentions(model, vocabulary, source, target, max_length=max_length),
            start=start,
        )

    def html(self) -> str:
        """The view as an element with its data inside."""
        return attention_html(self.data)

    def __repr__(self) -> str:
        kinds = (
            f"{view['label']} {len(view['queries'])}×{len(view['keys'])}"
            for view in self.data["views"]
        )
        return f"AttentionView({', '.join(kinds)})"


@torch.no_grad()
def attentions(
    model: Transformer,
    vocabulary: Vocabulary,
    source: Sequence[str],
    target: Sequence[str] | None = None,
    *,
    max_length: int = 64,
) -> list[Attention]:
    """The three kinds of attention of one translation, for ``AttentionView``; arguments
    as in ``AttentionView.of``.
    """
    was_training, device = model.training, next(model.parameters()).device
    source_ids = vocabulary.encode([source]).to(device)
    model.eval()
    try:
        if target is None:
            target = vocabulary.decode(greedy(model, source_ids, max_length)[0])
        weights = model.attention(
            source_ids, vocabulary.encode([target], bos=True).to(device)
        )
    finally:
        model.train(was_training)
    return translation_views(weights, model.config.layers, source, target)


def translation_views(
    weights: Mapping[str, Float[Tensor, "1 head query key"]],
    layers: int,
    source: Sequence[str],
    target: Sequence[str],
) -> list[Attention]:
    """The three kinds of attention of one translation.

    Args:
        weights: what ``Transformer.attention`` returns for it.
        layers: of the encoder, and of the decoder.
        source: its tokens.
        target: the tokens that were written, without <bos> and <eos>.
    """

    def kind(name: str) -> Float[Tensor, "layer head query key"]:
        return torch.cat([weights[name.format(layer)] for layer in range(layers)])

    queries, writes = [SPECIAL[BOS], *target], [*target, SPECIAL[EOS]]
    encoder, decoder, cross = map(
        kind,
        (
            "encoder.layers.{}.self_attention",
            "decoder.layers.{}.self_attention",
            "decoder.layers.{}.cross_attention",
        ),
    )
    return [
        Attention(
            "Encoder",
            encoder,
            list(source),
            caption="Self-attention: the source looks at itself.",
        ),
        Attention(
            "Decoder",
            decoder,
            queries,
            causal=True,
            writes=writes,
            caption=(
                "Masked self-attention: the target looks at itself and at what stands"
                " before."
            ),
        ),
        Attention(
            "Cross",
            cross,
            queries,
            list(source),
            writes=writes,
            caption=(
                "Cross-attention: the target looks at the source, to find what to write"
                " next."
            ),
        ),
    ]


class LiveTransformer(PageWidget):
    """Type a text and watch a trained model translate it, token by token, with the
    attention of every step.

    In a running notebook it is the model given here; the static book has no kernel to
    take it from, and shows a model that the site brings along. ``shipped()`` is that
    model in both.
    """

    _esm = bundle("live.js")
    file = traitlets.Bytes().tag(sync=True)
    prompt = traitlets.Unicode().tag(sync=True)
    examples: traitlets.List = traitlets.List().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        model: Transformer,
        vocabulary: Vocabulary,
        *,
        longest: tuple[int, int] = (29, 15),
        prompt: str = DATE_PROMPT,
        examples: Sequence[str] = DATE_EXAMPLES,
        page_model: str = f"../_static/minitfm/{DATE_MODEL}",
        about: dict[str, Any] | None = None,
    ) -> None:
        """Hand a model over to the reader's browser, in half precision.

        Args:
            model: the trained model.
            vocabulary: its symbols, each a single character.
            longest: symbols in the longest source, and in the longest target with its
                ``<eos>``; for dates.
            prompt: what the reader is asked for.
            examples: texts to try at a click.
            page_model: the model of the static page: the address of its file as seen
                from there.
            about: what the panel says of the training, as in the file of ``shipped``;
                nothing unless given.
        """
        super().__init__(
            file=pack(model, vocabulary, longest=longest, about=about),
            prompt=prompt,
            examples=list(examples),
            about=about or {},
        )
        self.page_model = page_model

    @classmethod
    def shipped(cls) -> "LiveTransformer":
        """The model of the website, in a notebook, too: that of ``date_model()``."""
        facts = date_model_facts()
        return cls(*date_model(), longest=tuple(facts["longest"]), about=facts["about"])

    def html(self) -> str:
        """The same for a page, with the site's model."""
        return live_html(self.page_model, self.prompt, self.examples)

    def __repr__(self) -> str:
        return f"LiveTransformer({self.prompt!r}, {len(self.file):,} bytes)"
