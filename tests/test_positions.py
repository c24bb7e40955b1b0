"""The runs of chapter 7: what a position must name, and the head that is set by hand."""

import pytest
import torch

from minitfm.results import positions
from minitfm.study import drawings
from minitfm.study.notebook import results


def test_positions_name_what_stands_before_them_or_at_the_fourth_place() -> None:
    symbols = torch.tensor([[7, 1, 2, 9, 4, 5]])
    assert positions.to_name(symbols, "before").tolist() == [[7, 1, 2, 9, 4]]
    assert positions.to_name(symbols, "fourth").tolist() == [[9, 9, 9, 9, 9]]


@pytest.mark.parametrize(
    "kind",
    ["none", "sinusoidal", "learned", "rotary", "bias", "beside", "twice", "wide"],
)
def test_only_without_positions_the_order_does_not_matter(kind: str) -> None:
    torch.manual_seed(0)
    model = positions.Namer(kind)
    if kind == "bias":  # it begins with zeros
        torch.nn.init.normal_(model.attention.table)
    symbols = positions.sentences(3, seed=0)
    order = torch.randperm(positions.TRAINED)
    shuffled = model(symbols[:, order])
    difference = (shuffled - model(symbols)[:, order]).abs().max().item()
    assert (difference < 1e-5) == (kind == "none")


def test_with_a_causal_mask_no_position_looks_ahead() -> None:
    torch.manual_seed(0)
    symbols = positions.sentences(2, seed=0)
    changed = symbols.clone()
    changed[:, -1] = (changed[:, -1] + 1) % positions.SYMBOLS
    moved = {}
    for causal in (True, False):
        model = positions.Namer("sinusoidal", causal=causal)
        moved[causal] = (model(symbols) - model(changed))[:, :-1].abs().max().item()
    assert moved[True] == 0 < moved[False]


def test_positions_beside_are_half_or_all_of_the_width() -> None:
    x = torch.zeros(2, 3, 8)
    wide = positions.BesidePositions(8)(x, start=2)
    assert wide.shape == (2, 3, 16)
    torch.testing.assert_close(wide[1, :, 8:], positions.BesidePositions(8).rows(x, 2))
    sizes = {
        kind: sum(p.numel() for p in positions.Namer(kind).parameters())
        for kind in ("sinusoidal", "beside", "twice")
    }
    assert sizes["beside"] < sizes["sinusoidal"] < 0.6 * sizes["twice"]


def test_one_projection_serves_queries_and_keys() -> None:
    model = positions.Namer("rotary", shared=True)
    assert model.attention.key is model.attention.query
    free = positions.Namer("rotary")
    assert (
        sum(p.numel() for p in free.parameters())
        - sum(p.numel() for p in model.parameters())
        == 64 * 64
    )


def test_the_head_set_by_hand_looks_one_back_at_any_length() -> None:
    model = positions.by_hand()
    for length in (2, 16, 300):
        assert positions.score(model, length, count=20) == 1
    model.attention.query.weight.data = torch.eye(64) * 100  # it looks at itself
    assert positions.score(model, count=20) < 0.3


def test_starts_are_drawn_from_the_first_to_the_last() -> None:
    stream = positions.batches(seed=0, starts=3, batch=1)
    assert {next(stream)[1] for _ in range(60)} == {0, 1, 2, 3}
    stream = positions.batches(seed=0, batch=1)
    assert {next(stream)[1] for _ in range(9)} == {0}


@pytest.mark.parametrize("kind", ["none", "sinusoidal", "learned", "rotary", "bias"])
def test_tokens_in_a_row_compute_what_the_model_does(kind: str) -> None:
    torch.manual_seed(0)
    model = positions.Namer(kind)
    if kind == "bias":
        torch.nn.init.normal_(model.attention.table)
    symbols = positions.sentences(3, seed=0)
    start = 5 if kind in ("sinusoidal", "learned") else 0
    places = start + torch.arange(positions.TRAINED)
    found = positions.placed(model, symbols, places)
    torch.testing.assert_close(found, model(symbols, start))
    moved = positions.placed(model, symbols, places + 7)  # new positions alone
    absolute = kind in ("sinusoidal", "learned")
    assert ((moved - found).abs().max().item() > 1e-3) == absolute
    apart = positions.placed(model, symbols, 2 * places)  # new distances as well
    assert ((apart - found).abs().max().item() > 1e-3) == (kind != "none")


def test_new_distances_and_more_keys_are_new_one_at_a_time() -> None:
    generator = torch.Generator().manual_seed(0)
    far = 0
    for _ in range(50):
        before, query, *others = positions.keys_apart(
            64, "distances", generator
        ).tolist()
        assert 0 <= before == query - 1
        assert len({before, query, *others}) == positions.TRAINED
        assert 0 <= min(others) < max(others) < 64
        far += max(abs(place - query) for place in others) >= positions.TRAINED
        before, query, *others = positions.keys_apart(
            64, "keys", generator, seen=40
        ).tolist()
        assert 0 <= before == query - 1
        assert len(others) == 62
        assert not {before, query} & set(others)
        every = [before, query, *others]
        assert max(every) - min(every) < positions.TRAINED
        assert max(every) < 40
    assert far > 40


def test_the_head_set_by_hand_minds_nothing_new() -> None:
    model = positions.by_hand()
    assert positions.score_placed(model, 1024, count=2) == 1
    for case in ("distances", "keys"):
        assert positions.score_apart(model, 256, case, count=10) == 1
    model.attention.query.weight.data = torch.eye(64) * 100  # it looks at itself
    assert positions.score_placed(model, 1024, count=2) < 0.3
    assert positions.score_apart(model, 256, "keys", count=10) < 0.3


def test_sharper_scores_keep_the_winner() -> None:
    for kind in ("rotary", "bias"):
        torch.manual_seed(0)
        model = positions.Namer(kind)
        if kind == "bias":
            torch.nn.init.normal_(model.attention.table)
        symbols = positions.sentences(3, seed=0)
        found = []
        for one in (model, positions.sharpened(model)):
            layer, x = one.attention, one.embed(symbols)
            q, k = layer.query(x), layer.key(x)
            if layer.rotate is not None:
                q, k = layer.rotate(q), layer.rotate(k)
            scores = q @ k.mT / layer.d_k**0.5
            if kind == "bias":
                scores = scores + layer.bias(*2 * (torch.arange(16),))
            found.append(scores)
        torch.testing.assert_close(4 * found[0], found[1])


def test_a_run_is_trained_and_scored() -> None:
    torch.manual_seed(0)
    model = positions.Namer("rotary")
    history = positions.train(model, seed=0, steps=200)
    assert history.evaluations[-1][2] == positions.score(model) > 0.9


def test_the_table_holds_what_the_chapter_shows() -> None:
    rows = results("positions")
    for row in rows:
        assert row["command"].startswith("python -m minitfm.results.positions ")
        assert row["steps"] == "1000"
    lost = [r for r in rows if r["kind"] == "rotary" and r["shared"] == "True"]
    assert len(lost) == 5
    assert all(float(row["at_16"]) < 0.5 for row in lost)
    kept = [
        r
        for r in rows
        if (r["task"], r["kind"], r["shared"]) == ("before", "rotary", "False")
    ]
    assert len(kept) == 5
    assert all(float(row["at_64"]) > 0.95 for row in kept)


def test_errors_tell_a_far_key_that_wins_from_a_right_one_that_is_outvoted() -> None:
    found = positions.errors(positions.by_hand(), 64, count=5)
    assert found == {
        "misled_64": "",
        "immune_64": "0.000",
        "repaired_64": "0.000",
        "broken_64": "0.000",
        "near_64": "1.000",
        "spared_64": "1.000",
    }

    faint = positions.by_hand()  # the right key wins, with too little of the weight
    with torch.no_grad():
        faint.attention.query.weight *= 0.03
    found = positions.errors(faint, 64, count=5)
    assert float(found["misled_64"]) == 0
    assert float(found["repaired_64"]) > 0.05 > float(found["broken_64"])

    astray = positions.by_hand()  # turned back by 33 more, as by one
    with torch.no_grad():
        turn = astray.attention.query.weight[:32, :32] / 100
        turn = torch.linalg.matrix_power(turn, 33)
        astray.attention.query.weight[:32, :32] = 100 * turn
    found = positions.errors(astray, 64, count=5)
    assert float(found["misled_64"]) > 0.6
    assert float(found["repaired_64"]) < 0.05

    once = positions.by_hand()  # one hand alone, which turns once in 19.9 positions
    angle = torch.tensor(-0.1 * 10_000.0 ** (-8 / 64))
    back = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()]).view(2, 2)
    with torch.no_grad():
        turn = once.attention.query.weight[8:10, 8:10].clone()
        once.attention.query.weight.zero_()
        once.attention.query.weight[8:10, 8:10] = turn
        found = positions.errors(once, 64, count=5)
        once.attention.query.weight[8:10, 8:10] = 100 * back @ turn  # 1.1 back
        worse = positions.errors(once, 64, count=5)
    # a turn away, keys score nearly as high: none wins, but together they outvote
    assert float(found["misled_64"]) == float(found["immune_64"]) == 0
    assert float(found["near_64"]) > 0.9 > 0.5 > float(found["spared_64"])
    # the key that is 21 back scores higher than the right one: nothing else is wrong
    assert float(worse["misled_64"]) == 1
    assert float(worse["near_64"]) == float(worse["spared_64"]) == 1


def test_the_far_table_holds_what_the_chapter_says() -> None:
    rows = results("positions_far")
    for row in rows:
        assert row["command"].startswith("python -m minitfm.results.positions ")
        assert " --far" in row["command"]
        assert float(row["at_16"]) > 0.98
        assert float(row["keys_16"]) > 0.98
    rotary = [row for row in rows if row["kind"] == "rotary"]
    assert len(rotary) == 5
    for row in rotary:  # no position is new; each distance seldom hurts
        assert float(row["places_1024"]) > 0.999
        assert float(row["distances_1024"]) > 0.95
        assert float(row["at_1024"]) < 0.9 < float(row["at_64"])
        for n in (64, 256, 1024):
            moved = float(row[f"repaired_{n}"]) - float(row[f"broken_{n}"])
            sharper = float(row[f"sharp_{n}"]) - float(row[f"at_{n}"])
            assert sharper == pytest.approx(moved, abs=0.003)
        assert float(row["near_256"]) == float(row["near_1024"]) == 1
        assert float(row["at_256"]) < float(row["spared_256"]) < 0.98
        assert float(row["immune_256"]) < 0.12 < 0.45 < float(row["misled_256"])


def test_the_early_table_scores_every_five_steps() -> None:
    rows = results("positions_early")
    assert len(rows) == 20
    assert all(int(row["solved_at"]) % 5 == 0 for row in rows)
    assert len({row["solved_at"] for row in rows}) > 3


def test_the_drawing_turns_queries_and_keys_alone() -> None:
    drawing = drawings.where_positions_enter().svg()
    assert drawing.count("↻") == 2
    assert drawing.count(">+<") == 1
