"""The runs of chapter 9: three models on one footing, and one model without a piece."""

import pytest
import torch

from minitfm.multihead import MultiHeadAttention
from minitfm.results import attention, ladder, pieces
from minitfm.seq2seq import greedy, teacher_forcing_loss
from minitfm.study.notebook import results
from minitfm.transformer import Transformer


def size(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("task", "vocabulary"), [("lines", 57), ("words", 69)])
def test_the_three_models_have_equally_many_parameters(task: str, vocabulary: int):
    sizes = [size(ladder.build(vocabulary, task))]
    for kind in ("none", "dot"):
        sizes.append(size(attention.build(vocabulary, kind, attention.WIDTH[task])))
    assert max(sizes) < 1.02 * min(sizes)


def test_the_ladder_turns_queries_and_keys_without_another_parameter():
    built = {kind: ladder.build(20, "lines", kind) for kind in ladder.POSITIONS}
    assert len(set(map(size, built.values()))) == 1
    x = torch.zeros(1, 5, 72)
    for kind in ("sinusoidal", "both"):
        assert built[kind].source_positions(x).any()
        assert built[kind].target_positions(x).any()
    assert torch.equal(built["rotary"].source_positions(x), x)
    for kind, model in built.items():
        turned = {
            name.split(".")[-1]
            for name, part in model.named_modules()
            if isinstance(part, MultiHeadAttention) and part.rotate is not None
        }
        assert turned == (set() if kind == "sinusoidal" else {"self_attention"})


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary", "both"])
def test_the_cache_writes_what_the_model_writes(positions: ladder.Positions):
    torch.manual_seed(0)
    model = ladder.build(20, "lines", positions).eval()
    source = torch.randint(3, 20, (6, 9))
    source[:3, 5:] = 0
    assert torch.equal(
        greedy(model, source, 12), greedy(ladder.Cached(model), source, 12)
    )


def test_bfloat16_changes_the_loss_little():
    torch.manual_seed(0)
    model = ladder.build(20, "lines")
    source, target = torch.randint(3, 20, (4, 9)), torch.randint(3, 20, (4, 7))
    exact = teacher_forcing_loss(model, source, target)
    rough = ladder.loss_in_bf16(model, source, target)
    assert rough.dtype == torch.float32
    assert 0 < abs(rough - exact) < 0.02 * exact


def trained_for_a_step(kind: str) -> tuple[Transformer, dict[str, bool]]:
    """A model after one step, and which of its parameters moved."""
    torch.manual_seed(0)
    model = pieces.build(kind, 20)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    source, target = torch.randint(3, 20, (4, 9)), torch.randint(3, 20, (4, 7))
    optimizer = torch.optim.Adam(model.parameters())
    teacher_forcing_loss(model, source, target).backward()
    optimizer.step()
    moved = {n: not torch.equal(p, before[n]) for n, p in model.named_parameters()}
    return model, moved


@pytest.mark.parametrize("kind", pieces.KINDS)
def test_every_piece_that_is_there_learns_and_a_frozen_one_does_not(kind: str):
    _, moved = trained_for_a_step(kind)
    frozen = {name for name in moved if name.startswith("encoder.")}
    for name, has in moved.items():
        assert has == (kind != "frozen" or name not in frozen), name
    assert bool(frozen) != kind.startswith("no encoder")


def test_the_pieces_are_gone():
    def names(kind: str) -> set[str]:
        return {name for name, _ in pieces.build(kind, 20).named_parameters()}

    whole = names("whole")
    assert names("frozen") == names("no root") == whole
    assert whole - names("no encoder") == {n for n in whole if "encoder." in n}
    assert whole - names("no networks") == {n for n in whole if "feed_forward" in n}
    assert names("untied") - whole == {"target_embedding.weight", "generator.weight"}
    sizes = {kind: size(pieces.build(kind, 55)) for kind in pieces.KINDS}
    assert sizes["no networks"] < 0.5 * sizes["whole"]
    for kind in ("no networks", "no encoder"):
        assert names(f"{kind}, wide") == names(kind)
        assert 0.96 < sizes[f"{kind}, wide"] / sizes["whole"] < 1.04


def test_without_the_root_the_positions_weigh_more():
    torch.manual_seed(0)
    model = pieces.build("no root", 20)
    tokens = torch.randint(3, 20, (1, 5))
    source = model.source_embedding
    x = model.embed(tokens, source, torch.nn.Identity())
    assert torch.equal(x, source(tokens))
    small = pieces.build("no root, sines / 8", 20)
    source = small.source_embedding
    x = small.embed(tokens, source, small.source_positions)
    position = small.source_positions(torch.zeros(1, 5, 64))
    assert torch.allclose(x, source(tokens) + position / 8, atol=1e-6)
    whole = pieces.build("whole", 20)
    scaled = whole.embed(tokens, whole.source_embedding, torch.nn.Identity())
    assert torch.allclose(scaled, 8 * whole.source_embedding(tokens))


@pytest.mark.parametrize("table", ["ladder", "ladder_words", "pieces"])
def test_every_row_says_how_it_was_made(table: str):
    rows = results(table)
    modules = {"pieces": ("pieces",)}.get(table, ("ladder", "attention"))
    for row in rows:
        assert row["command"].startswith(
            tuple(f"python -m minitfm.results.{module} " for module in modules)
        )
        assert float(row["seconds"]) > 0
        assert row["threads"] == "1"
