"""The runs of chapter 8: where the norm stands, and what a deep stack loses."""

import csv
import re

import pytest
import torch

from minitfm.layers import LayerNorm, Residual
from minitfm.results import depth
from minitfm.study import norms
from minitfm.study.notebook import results

(SYMBOLS,) = next(depth.batches(0, batch=4))


@pytest.mark.parametrize("placement", ["post", "pre"])
def test_the_two_usual_placements_are_the_packages(placement):
    torch.manual_seed(0)
    theirs = Residual(6, norm=placement)
    ours = depth.Placed(6, **depth.PLACEMENTS[placement])
    gain, bias = torch.randn(2, 6)
    for norm in (theirs.norm, ours.before if placement == "pre" else ours.after):
        norm.gain.data, norm.bias.data = gain, bias
    x, layer = torch.randn(2, 3, 6), torch.nn.Linear(6, 6)
    torch.testing.assert_close(ours(x, layer), theirs(x, layer))


def test_both_norms_stand_before_the_sublayer_and_behind_the_sum():
    both, norm = depth.Placed(5, **depth.PLACEMENTS["both"]), LayerNorm(5)
    x, layer = torch.randn(2, 3, 5), torch.nn.Linear(5, 5)
    torch.testing.assert_close(both(x, layer), norm(x + layer(norm(x))))


@pytest.mark.parametrize("placement", depth.PLACEMENTS)
def test_only_pre_norm_ends_with_a_norm_of_its_own(placement):
    stack = depth.Stack(2, placement)
    assert isinstance(stack.norm, LayerNorm) == (placement == "pre")
    kept = {"before", "after"} & {
        name.split(".")[3]
        for name, _ in stack.named_parameters()
        if "residual" in name and len(name.split(".")) > 3
    }
    wanted = depth.PLACEMENTS[placement]
    assert kept == {side for side in ("before", "after") if wanted[side]}


def test_an_unknown_placement_is_an_error_that_names_the_choices():
    with pytest.raises(ValueError, match="placement='middle'; choose from post, pre"):
        depth.Stack(2, "middle")
    with pytest.raises(ValueError, match="scaled='values'; choose from all, attention"):
        depth.Stack(2, scaled="values")


def test_a_small_start_scales_the_last_matrix_of_every_sublayer_alone():
    stacks = []
    for start in (1.0, 0.25):
        torch.manual_seed(0)
        stacks.append(dict(depth.Stack(2, start=start).named_parameters()))
    for name, parameter in stacks[0].items():
        last = name.endswith(("output.weight", "outer.weight"))
        torch.testing.assert_close(stacks[1][name], parameter * (0.25 if last else 1))


@pytest.mark.parametrize(
    ("scaled", "last"), [("attention", "output"), ("feed_forward", "outer")]
)
def test_a_small_start_can_be_had_by_one_kind_of_sublayer_alone(scaled, last):
    stacks = []
    for start in (1.0, 0.25):
        torch.manual_seed(0)
        stack = depth.Stack(2, start=start, scaled=scaled)
        stacks.append(dict(stack.named_parameters()))
    for name, parameter in stacks[0].items():
        factor = 0.25 if name.endswith(f"{last}.weight") else 1
        torch.testing.assert_close(stacks[1][name], parameter * factor)


class Names(torch.nn.Module):
    """Is sure of the symbols that a function of the sequence names."""

    def __init__(self, named):
        super().__init__()
        self.named = named

    def forward(self, symbols):
        return 100.0 * torch.nn.functional.one_hot(self.named(symbols), depth.SYMBOLS)


def test_frozen_layers_keep_their_queries_and_keys_and_train_the_rest():
    torch.manual_seed(0)
    stack = depth.freeze(depth.Stack(3), upper=2)
    before = {name: p.detach().clone() for name, p in stack.named_parameters()}
    depth.train(stack, seed=0, steps=2, rate=1e-3, warmup=0)
    for name, parameter in stack.named_parameters():
        looks = name.endswith(("query.weight", "key.weight"))
        kept = looks and not name.startswith("layers.0.")
        assert torch.equal(parameter, before[name]) == kept, name


def test_one_symbol_counts_the_sentences_with_one_answer_in_every_place():
    assert depth.one_symbol(Names(torch.zeros_like)) == 1
    first = Names(lambda symbols: symbols[:, :1].expand(-1, depth.LENGTH))
    assert depth.one_symbol(first) == 1
    assert depth.one_symbol(Names(lambda symbols: symbols)) == 0


def test_every_position_is_asked_for_the_mirrored_symbol():
    mirror = Names(lambda symbols: symbols.flip(1))
    assert depth.score(mirror) == 1
    assert depth.loss(mirror, SYMBOLS) < 1e-6
    same = Names(lambda symbols: symbols)
    assert 0.05 < depth.score(same) < 0.15
    assert depth.loss(same, SYMBOLS) > 50


def test_gradients_and_variances_are_those_of_each_layer():
    torch.manual_seed(0)
    stack = depth.Stack(3, "pre").double()
    found = depth.measure(stack, SYMBOLS)
    value = depth.loss(stack, SYMBOLS)
    value.backward()
    assert found.loss == pytest.approx(value.item())
    x = stack.positions(stack.embedding(SYMBOLS))
    for i, layer in enumerate(stack.layers):
        x = layer(x)
        flat = torch.cat([p.grad.flatten() for p in layer.parameters()])
        assert found.gradients[i] == pytest.approx(flat.norm().item())
        queries = layer.attention.query.weight.grad.norm().item()
        assert found.queries[i] == pytest.approx(queries)
        variance = x.var(-1, correction=0).mean().item()
        assert found.variances[i] == pytest.approx(variance)
        assert found.alike[i] == pytest.approx(depth.shared(x.detach()))
    logits = stack(SYMBOLS).detach().flatten(0, 1)
    assert found.answers == pytest.approx(logits.std(0).mean().item())


def test_what_tokens_share_is_all_if_they_are_alike_and_little_if_they_are_random():
    torch.manual_seed(0)
    one = torch.randn(5, 1, 64)
    assert depth.shared(one.expand(-1, 8, -1)) == pytest.approx(1, abs=1e-6)
    random = torch.randn(50, 8, 64)
    assert depth.shared(random) == pytest.approx(1 / 8, abs=0.02)
    assert depth.shared(random + 3) == pytest.approx(1 / 8, abs=0.02)
    assert 0.4 < depth.shared(random + one[:1]) < 0.7


def test_a_run_writes_a_row_that_says_how_it_was_made(tmp_path, monkeypatch, capsys):
    table = tmp_path / "depth.csv"
    arguments = ["--placements", "pre", "--layers", "1", "--steps", "3", "--seeds", "0"]
    monkeypatch.setattr("sys.argv", ["depth.py", *arguments, "--table", str(table)])
    depth.main()
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert [row["warmup"] for row in rows] == ["0", "100"]
    assert rows[0].keys() == results("depth")[0].keys()
    assert capsys.readouterr().out.count("placement pre") == 2


def test_every_row_says_how_it_was_made():
    for row in results("depth"):
        assert f"{row['command']} ".startswith("python -m minitfm.results.depth ")
        assert re.fullmatch("[0-9a-f]{7,}", row["commit"])
        assert 0 <= float(row["right"]) <= float(row["best"]) <= 1


def test_the_drawing_of_the_placements_says_all_three():
    drawing = norms.placements()
    for words in ("norm(x + f(x))", "x + f(norm(x))", "final norm"):
        assert words in drawing.svg()
    assert "final norm" in drawing.alt
