"""Recurrent networks against torch's, and what must hold for any of them (chapters 1 and 2)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minitfm.fast import REGISTRY, accelerate
from minitfm.fast.recurrent import padding_is_at_the_end
from minitfm.lstm import GRU, LSTM, GRUCell, LSTMCell, forget_bias_
from minitfm.rnn import RNN, RNNCell, orthogonal_
from tests.oracle import Named, assert_close, dtypes, seeds

small, layers = st.integers(1, 5), st.integers(1, 3)
lengths = st.lists(st.integers(1, 7), min_size=1, max_size=4)
either = st.booleans()

OURS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
CELLS = {"RNN": RNNCell, "LSTM": LSTMCell, "GRU": GRUCell}
SUMS = {
    "RNN": [""],  # the cell itself
    "LSTM": ["input_gate.", "forget_gate.", "candidate.", "output_gate."],
    "GRU": ["reset_gate.", "update_gate.", "candidate."],
}
each_kind = pytest.mark.parametrize("kind", OURS)


def our_names(
    kind: str, named: Named, gradients: bool = False
) -> dict[str, torch.Tensor]:
    """The tensors of torch's network or cell under our names.

    Of torch's two biases we keep the sum, and so the gradient of either; only the GRU's candidate has both.
    """
    renamed = {}
    places = [
        name.removeprefix("weight_ih") for name in named if name.startswith("weight_ih")
    ]
    for cell, place in enumerate(places):
        prefix = f"cells.{cell}." if place else ""
        sides = [
            named[f"{name}{place}"].chunk(len(SUMS[kind]))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        for name, w, u, b, second in zip(SUMS[kind], *sides):
            renamed[f"{prefix}{name}input.weight"] = w
            renamed[f"{prefix}{name}state.weight"] = u
            if (kind, name) == ("GRU", "candidate."):
                renamed[f"{prefix}candidate_bias"] = second
            elif not gradients:
                b = b + second
            renamed[f"{prefix}{name}input.bias"] = b
    return renamed


def states(kind: str, *shape: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {
        name: torch.randn(*shape, dtype=dtype)
        for name in ("hc" if kind == "LSTM" else "h")
    }


def one_or_pair(parts):
    """A network takes and gives h alone, or the LSTM's (h, c)."""
    parts = tuple(parts)
    return parts[0] if len(parts) == 1 else parts


def parts_of(state):
    return state if isinstance(state, tuple) else (state,)


def outcome(model: nn.Module, inputs: Named, call) -> tuple[dict, dict, dict]:
    """Outputs, gradients of the inputs, and gradients of the weights for a random upstream gradient."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    output, state = call(**leaves)
    outputs = dict(zip(("output", "h", "c"), (output, *parts_of(state))))
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (o * torch.randn(o.shape, generator=generator, dtype=o.dtype)).sum()
        for o in outputs.values()
    )
    gradients = torch.autograd.grad(loss, [*leaves.values(), *model.parameters()])
    weights = dict(
        zip((name for name, _ in model.named_parameters()), gradients[len(leaves) :])
    )
    return (
        {name: o.detach() for name, o in outputs.items()},
        dict(zip(leaves, gradients)),
        weights,
    )


def mask_of(lengths: list[int]) -> torch.Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)


@each_kind
@settings(max_examples=300)
@given(seeds, dtypes, lengths, small, small, layers, either, either, either)
def test_networks_equal_torch(
    kind,
    seed,
    dtype,
    lengths,
    d_input,
    d_hidden,
    layers,
    bidirectional,
    padded,
    started,
):
    torch.manual_seed(seed)
    ours = OURS[kind](d_input, d_hidden, layers, bidirectional=bidirectional).to(dtype)
    theirs = getattr(nn, kind)(
        d_input, d_hidden, layers, batch_first=True, bidirectional=bidirectional
    ).to(dtype)
    ours.load_state_dict(
        our_names(kind, {name: p.detach() for name, p in theirs.named_parameters()})
    )
    batch, token = len(lengths), max(lengths)
    inputs = {"x": torch.randn(batch, token, d_input, dtype=dtype)}
    if started:
        inputs |= states(
            kind, batch, layers * (1 + bidirectional), d_hidden, dtype=dtype
        )

    def call_ours(x, **state):
        return ours(
            x,
            mask_of(lengths) if padded else None,
            one_or_pair(state.values()) if state else None,
        )

    def call_theirs(x, **state):
        packed = (
            pack_padded_sequence(
                x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
            )
            if padded
            else x
        )
        cells_first = [part.transpose(0, 1).contiguous() for part in state.values()]
        output, final = theirs(packed, one_or_pair(cells_first) if state else None)
        output = (
            pad_packed_sequence(output, batch_first=True, total_length=token)[0]
            if padded
            else output
        )
        return output, tuple(part.transpose(0, 1) for part in parts_of(final))

    our_outputs, our_inputs, our_weights = outcome(ours, inputs, call_ours)
    their_outputs, their_inputs, their_weights = outcome(theirs, inputs, call_theirs)
    assert_close(our_outputs, their_outputs)
    # All gradients together: the input's alone can be a sum that cancels, and then its rounding is large beside it.
    assert_close(
        our_inputs | our_weights,
        their_inputs | our_names(kind, their_weights, gradients=True),
    )


@each_kind
@given(seeds, dtypes, small, small, small)
def test_cells_equal_torch(kind, seed, dtype, batch, d_input, d_hidden):
    torch.manual_seed(seed)
    ours, theirs = (
        CELLS[kind](d_input, d_hidden).to(dtype),
        getattr(nn, f"{kind}Cell")(d_input, d_hidden).to(dtype),
    )
    ours.load_state_dict(
        our_names(kind, {name: p.detach() for name, p in theirs.named_parameters()})
    )
    inputs = {"x": torch.randn(batch, d_input, dtype=dtype)} | states(
        kind, batch, d_hidden, dtype=dtype
    )

    def called(cell):
        def call(x, **state):
            h, *rest = parts_of(cell(x, one_or_pair(state.values())))
            return h, (h, *rest)

        return call

    our_outputs, our_inputs, our_weights = outcome(ours, inputs, called(ours))
    their_outputs, their_inputs, their_weights = outcome(theirs, inputs, called(theirs))
    assert_close(our_outputs, their_outputs)
    # All gradients together: the input's alone can be a sum that cancels, and then its rounding is large beside it.
    assert_close(
        our_inputs | our_weights,
        their_inputs | our_names(kind, their_weights, gradients=True),
    )


@given(seeds, small, small, small)
def test_each_gate_is_its_equation(seed, batch, d_input, d_hidden):
    torch.manual_seed(seed)
    x, h, c = (
        torch.randn(batch, width, dtype=torch.float64)
        for width in (d_input, d_hidden, d_hidden)
    )
    rnn, lstm, gru = (
        cell(d_input, d_hidden).double() for cell in (RNNCell, LSTMCell, GRUCell)
    )

    def total(sums):
        w, b, u = sums.input.weight, sums.input.bias, sums.state.weight
        return x @ w.T + b + h @ u.T

    i, f, o = (
        total(gate).sigmoid()
        for gate in (lstm.input_gate, lstm.forget_gate, lstm.output_gate)
    )
    new_c = f * c + i * total(lstm.candidate).tanh()
    r, z = total(gru.reset_gate).sigmoid(), total(gru.update_gate).sigmoid()
    recalled = h @ gru.candidate.state.weight.T + gru.candidate_bias
    n = (gru.candidate.input(x) + r * recalled).tanh()
    expected = {
        "rnn": total(rnn).tanh(),
        "h": o * new_c.tanh(),
        "c": new_c,
        "gru": z * h + (1 - z) * n,
    }
    ours = dict(zip(expected, (rnn(x, h), *lstm(x, (h, c)), gru(x, h))))
    assert_close(ours, expected)


def made(kind, seed, batch, token, layers, bidirectional):
    """A network in float64, sequences for it, and a state to start from."""
    torch.manual_seed(seed)
    model = OURS[kind](3, 4, layers, bidirectional=bidirectional).double()
    state = states(kind, batch, len(model.cells), 4, dtype=torch.float64)
    return (
        model,
        torch.randn(batch, token, 3, dtype=torch.float64),
        one_or_pair(state.values()),
    )


@each_kind
@given(seeds, st.integers(1, 9), st.integers(0, 9), layers, either)
def test_padding_changes_nothing_wherever_it_stands(
    kind, seed, token, padding, layers, bidirectional
):
    model, x, state = made(kind, seed, 1, token + padding, layers, bidirectional)
    mask = torch.zeros(1, token + padding, dtype=torch.bool)
    mask[0, torch.randperm(token + padding)[:token]] = True
    padded, final = model(x, mask, state)
    alone, expected = model(x[mask].unsqueeze(0), state=state)
    torch.testing.assert_close(padded[mask].unsqueeze(0), alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(final, expected, rtol=0, atol=1e-12)
    assert not padded[~mask].any(), "outputs at padding are zero"


@each_kind
@given(seeds, st.integers(1, 6), layers, either)
def test_a_sequence_of_nothing_but_padding_leaves_the_state_alone(
    kind, seed, token, layers, bidirectional
):
    model, x, state = made(kind, seed, 2, token, layers, bidirectional)
    mask = torch.zeros(2, token, dtype=torch.bool)
    mask[0] = True
    output, final = model(x.requires_grad_(), mask, state)
    assert all(
        torch.equal(end[1], start[1])
        for end, start in zip(parts_of(final), parts_of(state))
    )
    assert not output[1].any()
    (output.sum() + parts_of(final)[0].sum()).backward()
    assert not x.grad[1].any()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@each_kind
@given(seeds, st.integers(1, 9), layers)
def test_one_step_at_a_time_is_the_whole_sequence(kind, seed, token, layers):
    model, x, state = made(kind, seed, 3, token, layers, False)
    whole, expected = model(x, state=state)
    outputs = []
    for t in range(token):
        output, state = model(x[:, t : t + 1], state=state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, 1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(state, expected, rtol=0, atol=1e-12)


@each_kind
@given(seeds, st.integers(1, 9), layers, either, st.data())
def test_later_inputs_cannot_change_earlier_outputs(
    kind, seed, token, layers, bidirectional, data
):
    model, x, state = made(kind, seed, 2, token, layers, bidirectional)
    at = data.draw(st.integers(0, token - 1))
    changed = x.clone()
    changed[:, at:] += torch.randn_like(changed[:, at:])
    moved = (model(x, state=state)[0] != model(changed, state=state)[0]).any(-1)
    assert moved[:, at:].all(), "an input moves its own output and all later ones"
    assert (moved[:, :at] == bidirectional).all(), (
        "only the backward cells read the later inputs first"
    )


@each_kind
def test_a_network_runs_the_cell_that_it_is_given(kind):
    """And never a kernel in its place."""

    class Forgetful(CELLS[kind]):
        """A cell that never reads its state."""

        def forward(self, x, state):
            nothing = tuple(torch.zeros_like(part) for part in parts_of(state))
            return super().forward(x, one_or_pair(nothing))

    model = type("Network", (OURS[kind],), {"cell": Forgetful})(3, 4)
    x = torch.randn(2, 5, 3)
    each_alone, _ = model(x.reshape(10, 1, 3))
    expected = each_alone.reshape(2, 5, 4)
    torch.testing.assert_close(model(x)[0], expected)
    torch.testing.assert_close(accelerate(model)(x)[0], expected)
    with torch.no_grad():
        assert (model(x)[0] != OURS[kind](3, 4)(x)[0]).any()


@each_kind
@settings(max_examples=150)
@given(
    seeds, dtypes, lengths, small, small, layers, either, either, either, st.booleans()
)
def test_an_accelerated_network_is_the_loop(
    kind,
    seed,
    dtype,
    lengths,
    d_input,
    d_hidden,
    layers,
    bidirectional,
    padded,
    started,
    training,
):
    torch.manual_seed(seed)
    loop, fast = (
        OURS[kind](d_input, d_hidden, layers, bidirectional=bidirectional).to(dtype)
        for _ in range(2)
    )
    fast.load_state_dict(loop.state_dict())
    parameters = list(fast.parameters())
    assert accelerate(fast.train(training)) is fast
    loop.train(training)
    assert type(fast) is REGISTRY[OURS[kind]] is not type(loop)
    assert all(a is b for a, b in zip(fast.parameters(), parameters, strict=True))
    assert_close(fast.state_dict(), loop.state_dict())
    assert list(fast.state_dict()) == list(loop.state_dict())
    inputs = {"x": torch.randn(len(lengths), max(lengths), d_input, dtype=dtype)}
    if started:
        inputs |= states(
            kind, len(lengths), layers * (1 + bidirectional), d_hidden, dtype=dtype
        )
    mask = mask_of(lengths) if padded else None

    def called(model):
        return lambda x, **state: model(
            x, mask, one_or_pair(state.values()) if state else None
        )

    ours, expected = (
        outcome(fast, inputs, called(fast)),
        outcome(loop, inputs, called(loop)),
    )
    assert_close(ours[0], expected[0])
    assert_close(ours[1] | ours[2], expected[1] | expected[2])


def cells_run(model, *inputs) -> int:
    """How often a call runs a cell of the lesson; a kernel runs none."""
    calls = []
    hooks = [
        cell.register_forward_hook(lambda *_: calls.append(1)) for cell in model.cells
    ]
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return len(calls)


@each_kind
def test_an_accelerated_network_runs_the_kernel_and_not_the_cells(kind):
    """Or the equality of the two would say nothing."""
    x, mask = torch.randn(2, 5, 3), mask_of([5, 2])
    for inputs in ((x,), (x, mask)):
        assert cells_run(OURS[kind](3, 4), *inputs) == 5
        assert cells_run(accelerate(OURS[kind](3, 4)), *inputs) == 0


@each_kind
def test_other_padding_is_left_to_the_loop(kind):
    loop, fast = OURS[kind](3, 4), accelerate(OURS[kind](3, 4))
    fast.load_state_dict(loop.state_dict())
    x, mask = (
        torch.randn(3, 4, 3),
        torch.tensor(
            [[False, True, True, True], [True, False, True, False], [False] * 4]
        ),
    )
    assert not padding_is_at_the_end(mask)
    assert cells_run(fast, x, mask) == 4
    torch.testing.assert_close(fast(x, mask), loop(x, mask), rtol=0, atol=0)


@each_kind
def test_a_kernel_drops_out_between_layers_and_in_training_alone(kind):
    model, x = accelerate(OURS[kind](3, 16, 2, dropout=0.5)), torch.randn(2, 5, 3)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])


@each_kind
@given(seeds, layers, either)
def test_dropout_of_nothing_and_of_everything_is_the_same_in_both(kind, seed, n, both):
    """What is random cannot be compared; at 0 and 1 nothing is."""
    for dropout in (0.0, 1.0):
        torch.manual_seed(seed)
        loop = OURS[kind](3, 4, n, bidirectional=both, dropout=dropout)
        fast = OURS[kind](3, 4, n, bidirectional=both, dropout=dropout)
        accelerate(fast).load_state_dict(loop.state_dict())
        x = torch.randn(2, 5, 3)
        inputs = {"x": x}
        ours, expected = (outcome(m, inputs, lambda x, m=m: m(x)) for m in (fast, loop))
        assert_close(ours[0], expected[0])
        assert_close(ours[1] | ours[2], expected[1] | expected[2])


class Written(TorchDispatchMode):
    """Counts the numbers that all operations write."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.numbers += sum(
            leaf.numel()
            for leaf in tree_leaves(result)
            if isinstance(leaf, torch.Tensor)
        )
        return result


@each_kind
@pytest.mark.parametrize("padded", [False, True])
def test_the_work_grows_in_proportion_to_the_length(kind, padded):
    model, numbers = OURS[kind](3, 4, 2, bidirectional=True), []
    for token in (8, 16, 32):
        x, mask = (
            torch.randn(2, token, 3, requires_grad=True),
            torch.ones(2, token, dtype=torch.bool),
        )
        with Written() as written:
            model(x, mask if padded else None)[0].sum().backward()
        numbers.append(written.numbers)
    short, middle, long = numbers
    assert long - middle == 2 * (middle - short) > 0


@each_kind
@pytest.mark.parametrize("padded", [False, True])
def test_forward_and_backward_on_the_meta_device(kind, padded):
    model = OURS[kind](3, 4, 2, bidirectional=True).to("meta")
    mask = torch.ones(2, 5, dtype=torch.bool, device="meta") if padded else None
    output, state = model(torch.zeros(2, 5, 3, device="meta"), mask)
    output.sum().backward()
    assert {tensor.device.type for tensor in (output, *parts_of(state))} == {"meta"}
    assert {parameter.grad.device.type for parameter in model.parameters()} == {"meta"}


@each_kind
def test_autocast_trains(kind):
    model, x = OURS[kind](3, 4, 2), torch.randn(2, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = model(x, mask_of([5, 2]))
    torch.testing.assert_close(
        output.float(), model(x, mask_of([5, 2]))[0], rtol=0, atol=0.03
    )
    output.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@each_kind
def test_parameters_start_as_torchs_do(kind):
    ours = {name: p.detach() for name, p in OURS[kind](40, 100, 2).named_parameters()}
    theirs = our_names(
        kind,
        {
            name: p.detach()
            for name, p in getattr(nn, kind)(40, 100, 2).named_parameters()
        },
    )
    assert ours.keys() == theirs.keys()
    for name, parameter in ours.items():
        assert parameter.abs().max() <= 0.1 < 1.2 * parameter.abs().max(), name
        assert abs(parameter.std() / (0.1 / 3**0.5) - 1) < (
            0.25 if "bias" in name else 0.05
        ), name
        assert (
            name.endswith("input.bias")
            or abs(parameter.std() / theirs[name].std() - 1) < 0.3
        ), name


def test_orthogonal_weights_keep_the_length_of_the_state():
    model, h = LSTM(3, 8, 2, bidirectional=True), torch.randn(5, 8)
    before = {name: p.clone() for name, p in model.named_parameters()}
    orthogonal_(model, gain=0.9)
    matrices = [u for name, u in before.items() if name.endswith("state.weight")]
    assert len(matrices) == 16
    for name in before:
        if name.endswith("state.weight"):
            u = model.get_parameter(name)
            torch.testing.assert_close((h @ u.T).norm(dim=-1), 0.9 * h.norm(dim=-1))
    changed = {
        name for name, p in model.named_parameters() if not torch.equal(p, before[name])
    }
    assert changed == {name for name in before if name.endswith("state.weight")}


def test_the_forget_bias_decides_how_much_a_fresh_cell_keeps():
    model = LSTM(3, 8, 2, bidirectional=True)
    before = {name: p.clone() for name, p in model.named_parameters()}
    for bias, kept in ((0.0, 0.5), (1.0, 0.73), (3.0, 0.95)):
        forget_bias_(model, bias)
        gate = (
            model.cells[3].forget_gate(torch.zeros(1, 16), torch.zeros(1, 8)).sigmoid()
        )
        torch.testing.assert_close(gate, torch.full((1, 8), kept), rtol=0, atol=0.005)
    changed = {
        name for name, p in model.named_parameters() if not torch.equal(p, before[name])
    }
    assert changed == {f"cells.{cell}.forget_gate.input.bias" for cell in range(4)}


@each_kind
def test_dropout_acts_between_layers_and_in_training_alone(kind):
    x = torch.randn(2, 5, 3)
    single, double = (
        OURS[kind](3, 16, 1, dropout=0.5),
        OURS[kind](3, 16, 2, dropout=0.5),
    )
    assert torch.equal(single(x)[0], single(x)[0])
    assert not torch.equal(double(x)[0], double(x)[0])
    first, again = (parts_of(double(x)[1])[0][:, 0] for _ in range(2))
    assert torch.equal(first, again), "the first layer reads the inputs whole"
    double.eval()
    assert torch.equal(double(x)[0], double(x)[0])


@pytest.mark.usefixtures("no_shape_checks")
def test_errors_say_what_was_given_and_what_is_needed():
    x = torch.randn(2, 5, 3)
    with pytest.raises(
        ValueError, match="layers=0, but a network needs at least one layer"
    ):
        RNN(3, 4, 0)
    with pytest.raises(
        ValueError,
        match="an input has 3 numbers, but this network was made for d_input=7",
    ):
        RNN(7, 4)(x)
    with pytest.raises(ValueError, match="the sequences have length 0"):
        RNN(3, 4)(x[:, :0])
    with pytest.raises(
        ValueError,
        match=r"the mask is \(5, 2\), but the input has \(2, 5\) \(batch, token\)",
    ):
        GRU(3, 4)(x, mask_of([5, 3]).T)
    for network in (RNN(3, 4), accelerate(RNN(3, 4))):
        with pytest.raises(
            ValueError, match=r"the mask is torch\.float32, but must be boolean"
        ):
            network(x, mask_of([5, 3]).float())
    with pytest.raises(
        ValueError, match=r"a state is \(2, 1, 4\), but must be \(2, 4, 4\)"
    ):
        LSTM(3, 4, 2, bidirectional=True)(
            x, state=(torch.zeros(2, 4, 4), torch.zeros(2, 1, 4))
        )
    with pytest.raises(
        ValueError, match="GRU holds no LSTM cell, and only those have a forget gate"
    ):
        forget_bias_(GRU(3, 4))
