"""The runs of chapter 6: what a position must name, and why a single head cannot."""

import pytest
import torch

from minitfm.multihead import recorded_weights
from minitfm.results import heads
from minitfm.study.notebook import results


def test_positions_name_what_stands_one_and_three_before() -> None:
    symbols = torch.arange(10).repeat(2, 2)[:, : heads.LENGTH]
    wanted = heads.to_name(symbols)
    for place in range(3, heads.LENGTH):
        one, three = wanted[0, place - 3].tolist()
        assert one == symbols[0, place - 1]
        assert three == symbols[0, place - 3]


def test_a_token_is_its_symbol_and_its_place() -> None:
    names, places = heads.labeled(torch.tensor([[3, 0, 3]]).repeat(1, 4))
    assert names.shape == places.shape == (1, 12, heads.SYMBOLS + heads.LENGTH)
    assert torch.equal(names.nonzero()[:, 2], torch.tensor([3, 0, 3] * 4))
    assert torch.equal(places[0].nonzero()[:, 1] - heads.SYMBOLS, torch.arange(12))


@pytest.mark.parametrize("width", [4, 32, 256])
def test_the_results_of_one_head_lie_on_a_line_whatever_its_weights(width) -> None:
    """With values made of the symbol alone, sentences of two symbols."""
    torch.manual_seed(width)
    generator = torch.Generator().manual_seed(width)
    sentences = torch.randint(2, (20, heads.LENGTH), generator=generator)
    straight = {}
    for count in (1, 2):
        model = heads.Namer(count, width).double()
        for parameter in model.attention.parameters():
            parameter.data *= 4  # so that the weights are far from equal
        names, places = (part.double() for part in heads.labeled(sentences))
        found = model.attention(names + places, names + places, names)[:, 6]
        first, second, *_ = torch.linalg.svdvals(found - found.mean(0)).tolist()
        straight[count] = second / first
    assert straight[1] < 1e-9 < 1e-3 < straight[2]


def test_heads_cost_no_parameters_and_sharing_a_block_saves_some() -> None:
    sizes = {
        (count, summed): sum(
            parameter.numel()
            for parameter in heads.Namer(count, 32, summed=summed).parameters()
        )
        for count, summed in ((1, False), (2, False), (8, False), (2, True))
    }
    assert sizes[1, False] == sizes[2, False] == sizes[8, False]
    assert sizes[2, True] == sizes[2, False] - 16 * (heads.SYMBOLS + heads.LENGTH)


def test_summed_heads_are_heads_that_share_their_block_of_the_output() -> None:
    torch.manual_seed(0)
    summed = heads.SummedHeads(6, 2, 3, 3)
    whole = heads.MultiHeadAttention(6, 2, 3, 3)
    for name in ("query", "key", "value"):
        getattr(whole, name).weight.data = getattr(summed, name).weight.data
    whole.output.weight.data = summed.output.weight.data.repeat(1, 2)
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(summed(x, x, x), whole(x, x, x))


def test_four_numbers_a_head_are_enough_for_heads_that_are_added_up() -> None:
    model = heads.added_by_hand()
    assert model.attention.value.out_features == 2 * 4
    assert heads.scores(model)["both"] == 1
    one_missing = heads.added_by_hand()
    one_missing.attention.value.weight.data[4:] = 0
    assert heads.scores(one_missing)["both"] < 0.3


def test_a_frozen_head_is_read_anew() -> None:
    torch.manual_seed(0)
    model = heads.Namer(1)
    before = {k: v.clone() for k, v in model.attention.state_dict().items()}
    new = heads.reread(model)
    old = new.readout.weight.clone()
    heads.train(new, seed=0, steps=3)
    for name, weight in before.items():
        assert torch.equal(new.attention.state_dict()[name], weight)
    assert not torch.equal(new.readout.weight, old)
    assert all(p.requires_grad for p in model.parameters())


def test_a_run_is_trained_and_scored() -> None:
    torch.manual_seed(0)
    model = heads.Namer(2)
    history = heads.train(model, seed=0, steps=300)
    found = heads.scores(model)
    assert history.evaluations[-1][2] == found["both"] > 0.9
    assert found["both"] <= min(found["first"], found["second"])
    assert found["among_two"] >= found["both"]


def test_the_table_holds_what_the_chapter_shows() -> None:
    rows = results("heads")
    settings = {
        (row["heads"], row["width"], row["places"], row["summed"]) for row in rows
    }
    assert {(h, "32", "False", "False") for h in "1248"} <= settings
    for row in rows:
        assert row["command"].startswith("python -m minitfm.results.heads ")
        told = row["places"] == "True" and row["blind"] == "False"
        single = row["heads"] == "1" and not told
        hopeless = single and row["feed_forward"] == "0"
        narrow = row["summed"] == "True" and int(row["width"]) < 16
        hopeless |= narrow and row["apart"] != "held"
        if hopeless:
            assert float(row["best"]) < 0.6


def test_the_head_set_by_hand_has_exact_halves_and_one_order_of_each_pair() -> None:
    model = heads.halves_by_hand()
    symbols = heads.sentences(20, seed=0)
    with recorded_weights(model) as record:
        found = heads.right(model, symbols).all(-1)
    weights = record["attention"][:, 0, 3:]
    due = torch.zeros(9, 12)
    for row in range(9):
        due[row, [row, row + 2]] = 0.5
    torch.testing.assert_close(weights, due.expand_as(weights))
    first, second = heads.to_name(symbols).unbind(-1)
    assert torch.equal(found, first <= second)


@pytest.mark.parametrize("hold", [False, True])
def test_values_set_apart_stay_so_only_if_they_are_held(hold: bool) -> None:
    torch.manual_seed(0)
    model = heads.Namer(2, width=8, summed=True)
    heads.set_apart(model, hold=hold)
    weight = model.attention.value.weight
    others = weight[[2, 3, 4, 5]]  # head 1 has rows 0 to 3 and writes into 0 and 1
    assert not others.any()
    assert weight[[0, 1, 6, 7]].all()
    heads.train(model, seed=0, steps=3)
    assert weight[[2, 3, 4, 5]].any() == (not hold)


def test_blind_weights_do_not_depend_on_the_symbols() -> None:
    torch.manual_seed(0)
    symbols = heads.sentences(2, seed=0)
    for blind in (False, True):
        model = heads.Namer(1, places=True, blind=blind)
        with recorded_weights(model) as record:
            model(symbols)
        first, second = record["attention"]
        assert torch.equal(first, second) == blind
