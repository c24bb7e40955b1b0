"""The training loop and the losses that every chapter uses."""

import itertools
import math

import pytest
import torch
from torch import nn

from minitfm.seq2seq import exact_match, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.transformer import Transformer, TransformerConfig


class Line(nn.Module):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.weight * x


def squared(model, x, y):
    return (model(x) - y).square().mean()


def line_batches(seed=0):
    x = torch.linspace(-1, 1, 64)
    return shuffled(x, 3 * x, batch=16, seed=seed)


def test_it_learns():
    model = Line()
    history = fit(
        model,
        squared,
        line_batches(),
        400,
        learning_rate=0.05,
        decay=True,
        progress=False,
    )
    assert model.weight.item() == pytest.approx(3, abs=1e-3)
    assert len(history.loss) == 400
    assert history.loss[-1] < 1e-4 < history.loss[0]
    assert not model.training


def test_it_is_torchs_adam():
    ours, theirs = Line(), Line()
    fit(
        ours,
        squared,
        line_batches(),
        25,
        learning_rate=0.05,
        clip=math.inf,
        progress=False,
    )
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.05)
    for _, batch in zip(range(25), line_batches()):
        optimizer.zero_grad()
        squared(theirs, *batch).backward()
        optimizer.step()
    assert torch.equal(ours.weight, theirs.weight)


def test_warm_up_and_decay_scale_the_first_and_last_steps():
    """Adam moves a lone weight by the learning rate at each of its first steps, so its path shows the schedule."""
    path = [0.0]

    def record(model):
        path.append(model.weight.item())

    options = {
        "learning_rate": 0.01,
        "warmup": 4,
        "decay": True,
        "clip": math.inf,
        "progress": False,
    }
    fit(Line(), squared, line_batches(), 8, evaluate=record, every=1, **options)
    moved = [b - a for a, b in itertools.pairwise(path)]
    expected = [0.0025, 0.005, 0.0075, 0.01, 0.01, 0.0075, 0.005, 0.0025]
    assert moved == pytest.approx(expected, rel=0.05)


def test_evaluations_come_when_asked_in_evaluation_mode():
    modes = []

    def look(model):
        modes.append(model.training)
        return len(modes)

    history = fit(
        Line(), squared, line_batches(), 7, evaluate=look, every=3, progress=False
    )
    assert [(step, result) for step, _, result in history.evaluations] == [
        (3, 1),
        (6, 2),
        (7, 3),
    ]
    assert modes == [False] * 3
    seconds = [seconds for _, seconds, _ in history.evaluations]
    assert 0 < seconds[0] < seconds[1] < seconds[2] == history.seconds


def test_a_long_gradient_is_clipped():
    model = nn.Linear(1, 1, bias=False)
    norms = []

    class Spy(torch.optim.Adam):
        def step(self, closure=None):
            norms.append(self.param_groups[0]["params"][0].grad.norm().item())
            return super().step(closure)

    adam, torch.optim.Adam = torch.optim.Adam, Spy
    try:
        fit(
            model,
            lambda model, x: 100 * model(x).sum(),
            iter([(torch.ones(1, 1),)]),
            1,
            clip=0.5,
            progress=False,
        )
    finally:
        torch.optim.Adam = adam
    assert norms == pytest.approx([0.5], rel=1e-4)


def test_a_diverging_run_stops_with_advice():
    model = Line()
    with pytest.raises(
        ValueError,
        match=r"the loss is nan at step 1; try a smaller learning rate than 0\.01",
    ):
        fit(
            model,
            lambda model, x, y: model(x).sum() * math.nan,
            line_batches(),
            3,
            learning_rate=0.01,
            progress=False,
        )
    assert model.weight.isfinite(), "the step that would spoil the weights is not taken"


def test_batches_that_run_out_are_named():
    batches = [(torch.ones(2), torch.ones(2))] * 2
    with pytest.raises(ValueError, match="ran out after 2 of 5 steps"):
        fit(Line(), squared, batches, 5, progress=False)


def test_an_epoch_holds_every_row_once_and_each_is_ordered_anew():
    rows = torch.arange(12)
    stream = shuffled(rows, rows * 10, batch=4, seed=0)
    epochs = [[next(stream) for _ in range(3)] for _ in range(2)]
    orders = [torch.cat([first for first, _ in epoch]) for epoch in epochs]
    assert [sorted(order.tolist()) for order in orders] == [rows.tolist()] * 2
    assert not torch.equal(*orders)
    assert all(
        torch.equal(first * 10, second) for epoch in epochs for first, second in epoch
    )
    again = shuffled(rows, batch=4, seed=0)
    assert torch.equal(torch.cat([next(again)[0] for _ in range(3)]), orders[0])


def test_shuffled_refuses_what_it_cannot_batch():
    with pytest.raises(ValueError, match="3 rows do not fill a batch of 4"):
        next(shuffled(torch.ones(3), batch=4, seed=0))
    with pytest.raises(ValueError, match=r"\[3, 2\] rows"):
        next(shuffled(torch.ones(3), torch.ones(2), batch=1, seed=0))


def test_the_loss_is_the_mean_over_real_tokens_of_their_surprise():
    model = Transformer(TransformerConfig.tiny(11, dropout=0.0)).double()
    source = torch.tensor([[3, 4, 5], [6, 7, 0]])
    target = torch.tensor([[1, 5, 4, 3, 2], [1, 7, 2, 0, 0]])
    surprise = [
        -model(source[row : row + 1], target[row : row + 1, : i + 1]).log_softmax(-1)[
            0, -1, target[row, i + 1]
        ]
        for row in range(2)
        for i in range(4)
        if target[row, i + 1] != 0
    ]
    assert len(surprise) == 6
    torch.testing.assert_close(
        teacher_forcing_loss(model, source, target), torch.stack(surprise).mean()
    )


def test_exact_match_counts_whole_sentences():
    target = torch.tensor([[5, 6, 2], [7, 2, 0]])
    assert exact_match(target, target) == 1.0
    assert exact_match(torch.tensor([[5, 6, 2, 0], [7, 2, 0, 0]]), target) == 1.0
    assert exact_match(torch.tensor([[5, 6, 2], [7, 8, 2]]), target) == 0.5
    assert exact_match(torch.tensor([[5, 6], [7, 2]]), target) == 0.5, (
        "a missing end is a mistake"
    )
