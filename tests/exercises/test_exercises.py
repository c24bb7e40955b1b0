"""The checker names every mistake it knows, passes every right answer, and passes nothing else."""

import contextlib
import json
import math
import random
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import minitfm
from minitfm import attention, layers
from minitfm.attention import scaled_dot_product_attention
from minitfm.exercises.engine import exercise as engine
from minitfm.exercises.engine import run, texts
from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import chapters, load, save
from minitfm.exercises.engine.compare import differing, named, same, wrong_values
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.edits import edits
from minitfm.exercises.engine.exercise import Exercise, Task
from minitfm.exercises.engine.explain import compiled
from minitfm.exercises.engine.inside import Inside
from minitfm.exercises.engine.milestone import Milestone
from minitfm.exercises.engine.observe import Outcome
from minitfm.exercises.engine.plug import plugged
from minitfm.exercises.engine.relate import relation
from minitfm.exercises.engine.source import build, stub_of
from minitfm.fast import accelerate
from minitfm.seq2seq import Seq2Seq, exact_match, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import dates
from minitfm.study.vocabulary import Vocabulary
from tests.exercises.answers import RIGHT, RIGHT_ANSWERS

CHAPTERS = chapters()
TASKS: dict[str, Task] = {
    name: task
    for chapter in CHAPTERS.values()
    for name, task in chapter.exercises.items()
    if not isinstance(task, Milestone)  # its parts are tested where they are alone
}
CODE = {name: task for name, task in TASKS.items() if isinstance(task, Exercise)}
ANSWERS = {name: task for name, task in TASKS.items() if isinstance(task, Answer)}
EVERY_MISTAKE = [(name, one) for name, task in TASKS.items() for one in task.mistakes]
LOOK = CODE["attention_weights"]
UNCHECKABLE = "could not be checked"


def written(task: Exercise, text: str) -> Any:
    """Execute a text and return the function or class that it defines last."""
    return build(
        text, re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE)[-1], task.names
    )


# The catalogue


def test_the_catalogue_has_sixty_mistakes_and_no_two_of_one_name():
    assert len(EVERY_MISTAKE) >= 60
    for task in TASKS.values():
        assert len(task.mistakes) >= 6
        assert len({one.name for one in task.mistakes}) == len(task.mistakes)
        # ways to the same mistake, "its name, one way", may be told alike
        told = {one.message: one.name.partition(", ")[0] for one in task.mistakes}
        for one in task.mistakes:
            assert told[one.message] == one.name.partition(", ")[0], one.name
        assert len(task.hints) >= 3
        assert 1 <= task.difficulty <= 5
        assert task.minutes > 0


@pytest.mark.parametrize("name", TASKS)
def test_every_mistake_is_rejected_with_its_own_message_and_in_two_seconds(name: str):
    """Those of a part inside a model are tested where it is alone."""
    task = TASKS[name]
    if isinstance(task, Inside):
        assert task.mistakes == task.alone.mistakes
        return
    task.grade(None)  # draws the inputs
    for one in task.mistakes:
        answer = task.implementation(one) if isinstance(task, Exercise) else one.wrong
        assert answer is not None, f"no patch for {one.name}"
        began = time.thread_time()
        result = task.check(answer)
        assert time.thread_time() - began < 2, one.name
        assert not result.passed
        assert result.mistakes == (one.name,)
        assert one.message
        assert one.message in result.message


@pytest.mark.parametrize("name", TASKS)
def test_every_message_has_its_mistake(name: str):
    task = TASKS[name]
    names = {one.name for one in task.mistakes}
    if isinstance(task, Inside) and task.alone.name != name:
        assert not task.words.messages
    else:
        assert task.words.messages.keys() == names


@pytest.mark.parametrize("name", CODE)
def test_the_solution_is_equal_to_the_packages_object(name: str):
    task = CODE[name]
    if not isinstance(task, Inside):
        assert task.passes(task.package)
        for form in task.forms:
            assert task.passes(compiled(form, task.names))


@pytest.mark.parametrize("name", CODE)
def test_the_written_out_solution_is_right(name: str):
    task = CODE[name]
    assert task.check(written(task, task.solution().text)).message == "right."


@pytest.mark.parametrize("name", CODE)
def test_the_packages_own_object_is_right_and_recognized(name: str):
    result = CODE[name].check(CODE[name].package)
    assert result.passed
    assert "your right" in result.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(name, text, id=f"{name}-{i}")
        for name, texts in RIGHT.items()
        for i, text in enumerate(texts)
    ],
)
def test_right_answers_in_other_styles_pass(name: str, text: str):
    task = CODE[name]
    answer = written(task, text)
    began = time.thread_time()
    result = task.check(answer)
    assert result.passed, result
    assert result.kind == "right"
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name, texts in RIGHT_ANSWERS.items() for text in texts],
)
def test_right_plain_answers_pass_however_they_are_written(name: str, text: str):
    assert ANSWERS[name].check(eval(text, {"torch": torch, "np": np}))


def test_every_exercise_has_four_right_answers_in_other_styles():
    for name, task in TASKS.items():
        texts = RIGHT[name] if isinstance(task, Exercise) else RIGHT_ANSWERS[name]
        assert len(set(texts)) >= 4


@pytest.mark.parametrize("name", TASKS)
def test_a_blank_stub_is_not_attempted_yet(name: str):
    task = TASKS[name]
    if isinstance(task, Answer):
        space: dict[str, Any] = {}
        exec(task.stub, space)
        blanks = [space["answer"], None]
    else:
        dots, passed = (
            task.stub.replace("raise NotImplementedError", word)
            for word in ("...", "pass")
        )
        blanks = [written(task, text) for text in (task.stub, dots, passed)]
    for blank in blanks:
        result = task.check(blank)
        assert not result.passed
        assert result.kind == "not attempted"
        assert "not attempted yet" in repr(result)


# Diagnosis


def test_two_mistakes_in_different_places_are_both_named():
    def mine(query, key, mask=None):
        scores = query @ key.transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        weights = scores.softmax(-2)
        return weights if mask is None else weights.masked_fill(~mask, 0)

    result = LOOK.check(mine)
    assert set(result.mistakes) == {"no scaling", "softmax over the queries"}
    assert result.message.startswith("Two mistakes at once.")


@pytest.mark.parametrize("name", ["residual", "layer_norm", "causal_mask"])
def test_pairs_of_mistakes_never_pass_and_are_mostly_named(name: str):
    task = CODE[name]
    named = total = 0
    for i, first in enumerate(task.mistakes):
        for second in task.mistakes[i + 1 :]:
            wrong = task.implementation(first, second)
            if wrong is None:
                continue
            result = task.check(wrong)
            if (
                result.passed
            ):  # two mistakes may cancel; then nothing is wrong on any input
                wide = [
                    case for seed in range(1, 6) for case in task.cases(Draw(seed, 12))
                ]
                assert all(
                    same(task.observe(wrong, case), task.observe(task.reference, case))
                    for case in wide
                )
                continue
            total += 1
            named += result.kind == "known mistake"
    assert total > 5
    assert named / total > 0.6


def test_a_stub_is_the_solutions_head_and_one_docstring():
    function = "def f(x, y=0):\n    def g(z):\n        return z\n    return g(x)"
    blank = '    """x -> y\n    or z"""\n    raise NotImplementedError\n'
    assert stub_of(function, "x -> y\nor z") == "def f(x, y=0):\n" + blank
    head = "class A(nn.Module):\n    def __init__(self):\n        super().__init__()\n\n    def forward(self, x):\n"
    module = stub_of(head + "        return x", "x -> y\nor z")
    assert module == head + textwrap.indent(blank, "    ")


def test_explanations_that_fit_equally_well_are_all_named():
    messages = {
        "squared": "You square.",
        "multiplied by itself": "You multiply by x.",
    }
    source = "def double(x):\n    return x * 2"
    task = Exercise(
        None,
        "double",
        stub=source,
        solution=source,
        mistakes="""
squared: x * 2 => x**2
multiplied by itself: x * 2 => x * x
""",
        difficulty=1,
        minutes=1,
        special=lambda draw: [Case((draw.normal(3),))],
        words=texts.Words(messages=messages),
    )
    result = task.check(lambda x: x * x)
    assert result.mistakes == ("squared", "multiplied by itself")
    assert "You square. Or: You multiply by x." in result.message


def test_an_unknown_mistake_is_placed_in_words():
    def mine(query, key, mask=None):
        weights = attention.attention_weights(query, key, mask).clone()
        weights[0, 0, 1] = 0
        return weights

    message = LOOK.check(mine).message
    assert re.search(
        r"Query 0 gives key 1 the weight 0.00, expected 0\.\d+",
        message,
        re.I,
    )
    assert "all earlier agree" in message
    assert "1 of " in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w * 3, "everywhere 3 times"),
        (lambda w: w + 0.25, "shifted by the same amount"),
        (lambda w: w.flip(-1), "another order along axis 2"),
        (lambda w: w * 0, "Everything is 0"),
        (lambda w: w + 1e-5, "shifted"),
        (lambda w: w * (1 + 1e-4 * torch.arange(w.shape[-1])), "almost right"),
        (lambda w: w / 0 * 0, "NaN"),
    ],
)
def test_the_kind_of_error_is_guessed(
    change: Callable[[torch.Tensor], torch.Tensor], words: str
):
    result = LOOK.check(
        lambda q, k, m=None: change(attention.attention_weights(q, k, m))
    )
    assert not result.passed
    assert words in result.message


@pytest.mark.parametrize("name", CODE)
def test_the_words_for_an_entry_fit_the_axes_of_every_result(name: str):
    task = CODE[name]
    says = task.words.says
    fields = {field for _, field, _, _ in Formatter().parse(says) if field}
    # what runs inside a model shares its words with the function alone
    for _, axes in () if isinstance(task, Inside) else task.results:
        assert fields <= {*named(dict.fromkeys(axes, 0)), "got", "want"}, (says, axes)
    for case, truth in task.truth():
        for (_, axes), want in zip(task.results, truth.values):
            if want.numel() == 0 or want.device.type == "meta":
                continue
            got = ~want if want.dtype == torch.bool else want + 1
            if not differing(got, want).any():  # ∞
                continue
            assert wrong_values(got, want, axes, says, case)


def test_what_is_right_already_is_said():
    def mine(query, key, mask=None):
        weights = attention.attention_weights(query, key, mask)
        return weights if mask is None else weights * 1.5

    message = LOOK.check(mine).message
    assert "Right already: gradients, without `mask`; without `mask`.)" in message


# Clumsy and hostile answers


def loop(q, k, m=None):
    while True:
        pass


def patient(q, k, m=None):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


def recursive(q, k, m=None):
    return recursive(q, k, m)


def overwriting(q, k, m=None):
    q /= math.sqrt(q.shape[-1])
    return attention.attention_weights(q * math.sqrt(q.shape[-1]), k, m)


def raising(q, k, m=None):
    return q @ k


def leaving(q, k, m=None):
    raise SystemExit(3)


def random_weights(q, k, m=None):
    return attention.attention_weights(q + torch.randn(()), k, m) + torch.rand(())


def undifferentiable(q, k, m=None):
    w = attention.attention_weights(q, k, m)
    with torch.no_grad():
        w.copy_(w)
    return torch.tensor(w.tolist(), dtype=q.dtype)


def late_overwriting(q, k, m=None):
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
    if m is not None:
        weights = (
            (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~m, -math.inf).softmax(-1)
        )
        weights[~m] = 0
    return weights


def on_whole_numbers(
    q: torch.Tensor, k: torch.Tensor, m: torch.Tensor | None = None
) -> torch.Tensor:
    """For which torch raises the very exception that a blank stub raises."""
    return (q.long() @ k.long().mT).log_softmax(-1)


CLUMSY = [
    (3, "an int"),
    ("softmax", "a str"),
    (nn.Linear, "a class"),
    (lambda: 0, "must take (query, key, mask)"),
    (lambda q, k: attention.attention_weights(q, k), "must take (query, key, mask)"),
    (lambda q, k, m=None: None, "not attempted"),
    (lambda q, k, m=None: print(end=""), "None (is there a `return`?)"),
    (lambda q, k, m=None: [1.0], "returned a list"),
    (lambda q, k, m=None: 1.0, "returned a float"),
    (
        lambda q, k, m=None: attention.attention_weights(q, k, m).detach().numpy(),
        "a NumPy array",
    ),
    (
        lambda q, k, m=None: attention.attention_weights(q, k, m).to_sparse(),
        "a sparse or nested tensor",
    ),
    (lambda q, k, m=None: (attention.attention_weights(q, k, m),), "returned a tuple"),
    (lambda q, k, m=None: q, "returns its input `query`"),
    (
        lambda q, k, m=None: attention.attention_weights(q, k, m).mT,
        "in another order: an axis is transposed",
    ),
    (
        lambda q, k, m=None: attention.attention_weights(q, k, m).sum(-1),
        "2 axes instead of 3",
    ),
    (lambda q, k, m=None: q @ q.mT, "Axis key has"),
    (
        lambda q, k, m=None: attention.attention_weights(q, k, m).float(),
        "should be float64, yours are float32",
    ),
    (lambda q, k, m=None: attention.attention_weights(q, k, m).to("meta"), "on meta"),
    (loop, "a loop in it never ends"),
    (patient, "a loop in it never ends"),
    (recursive, "calls itself without end"),
    (overwriting, "overwrites its input `query`"),
    (raising, "`return q @ k`"),
    (on_whole_numbers, "not implemented for 'Long'"),
    (leaving, "`SystemExit`"),
    (random_weights, "Something in it is random"),
    (undifferentiable, "no gradient reaches"),
    (late_overwriting, "overwrites a tensor in place"),
]


@pytest.mark.parametrize(("answer", "words"), CLUMSY, ids=range(len(CLUMSY)))
def test_a_clumsy_answer_gets_a_sentence_that_helps(
    answer: Any, words: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "SECONDS", 1.0)
    result = LOOK.check(answer)
    assert not result.passed
    assert words in result.message
    assert UNCHECKABLE not in result.message


def test_an_endless_loop_is_stopped_within_five_seconds_of_work():
    began = time.process_time()
    assert "never ends" in LOOK.check(loop).message
    assert time.process_time() - began < 5


@pytest.mark.parametrize("endless", [loop, patient])
def test_an_endless_loop_is_stopped_in_another_thread(
    endless: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "SECONDS", 1.0)
    results: list[engine.Result] = []
    thread = threading.Thread(
        target=lambda: results.append(LOOK.check(endless)), daemon=True
    )
    thread.start()
    thread.join(60)
    assert "never ends" in results[0].message


def test_waiting_is_not_working():
    """On a busy machine a learner's code mostly waits for its turn."""
    waited = run.guarded(time.sleep, 0.6, seconds=0.4)
    assert not waited.stopped
    assert run.guarded(time.sleep, 60.0, seconds=0.2).stopped


def test_a_right_answer_passes_in_another_thread():
    results: list[engine.Result] = []
    thread = threading.Thread(
        target=lambda: results.append(LOOK.check(written(LOOK, LOOK.source)))
    )
    thread.start()
    thread.join()
    assert results[0].passed


def test_control_c_stays_the_learners():
    def interrupted(q, k, m=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LOOK.check(interrupted)


def test_a_notebooks_exit_does_not_stop_its_kernel(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class Shell:
        def ask_exit(self) -> None:
            asked.append(True)

    shell = Shell()
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell)
    )
    result = LOOK.check(lambda query, key, mask=None: shell.ask_exit())
    assert "SystemExit" in result.message
    assert not asked
    shell.ask_exit()
    assert asked, "after the check the notebook's exit is its own again"


def test_the_learners_own_line_is_shown_and_none_of_ours():
    message = LOOK.check(raising).message
    line = raising.__code__.co_firstlineno + 1
    assert f"in line {line}: `return q @ k`" in message
    assert "minitfm" not in message
    assert "The sizes were: " in message


def test_no_line_of_a_library_is_the_learners_however_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store, library = tmp_path / "store", tmp_path / "library"
    store.mkdir(), library.mkdir()
    (store / "code.py").write_text("def fail():\n    raise ValueError\n")
    (library / "code.py").symlink_to(store / "code.py")
    space: dict[str, Any] = {}
    text = (library / "code.py").read_text()
    exec(compile(text, str(library / "code.py"), "exec"), space)
    assert "line 2" in run.guarded(space["fail"], seconds=1.0).raised.line
    monkeypatch.setattr(run, "NOT_LEARNERS", [*run.NOT_LEARNERS, library])
    assert "line 2" not in run.guarded(space["fail"], seconds=1.0).raised.line


def test_a_relation_is_said_only_where_it_holds_in_every_case():
    torch.manual_seed(0)
    right = [torch.randn(3, 4, dtype=torch.float64) for _ in range(3)]
    case = Case((torch.zeros(1),))

    def related(got: list[Tensor]) -> str:
        rows = [(case, Outcome((a,)), Outcome((b,))) for a, b in zip(got, right)]
        return relation(rows, (("", ("batch", "number")),))[0]

    assert related([-x for x in right]) == "the negative of it"
    assert related([x.sum(0) for x in right]) == "added up over batch"
    assert related([x.T for x in right]) == "axes in another order"
    assert related([-right[0], -right[1], right[2]]) == ""
    assert related([x + 1 for x in right]) == ""
    assert related([torch.zeros_like(x) for x in right]) == ""


def test_printing_is_accepted_and_not_shown(capsys: pytest.CaptureFixture[str]):
    def talkative(q, k, m=None):
        print("shapes", q.shape)
        return attention.attention_weights(q, k, m)

    result = LOOK.check(talkative)
    assert result.passed
    assert "printed something" in result.message
    assert capsys.readouterr().out == ""


def test_a_check_leaves_random_numbers_dtype_and_gradient_mode_as_they_were():
    def meddling(q, k, m=None):
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return q

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    LOOK.check(meddling)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_a_module_with_other_weights_is_told_which():
    class FeedForward(nn.Module):
        def __init__(self, d_model, d_ff):
            super().__init__()
            self.first = nn.Linear(d_model, d_ff)
            self.outer = nn.Linear(d_ff, d_model)

        def forward(self, x):
            return self.outer(self.first(x).relu())

    task = CODE["feed_forward"]
    message = task.check(FeedForward).message
    assert "has no `inner.bias`" in message
    assert "has `first.bias`" in message
    assert "Give the class itself" in task.check(layers.FeedForward(2, 3)).message
    assert (
        "a subclass of `nn.Module`"
        in task.check(
            type(
                "Plain", (), {"__init__": lambda *_: None, "forward": lambda self, x: x}
            )
        ).message
    )
    wrong_width = type(
        "W",
        (layers.FeedForward,),
        {"__init__": lambda self, a, b: layers.FeedForward.__init__(self, a, b + 1)},
    )
    assert "has the shape" in task.check(wrong_width).message


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("parameters", 65, "too small"),
        ("parameters", 60_000_000, "too small"),
        ("parameters", "many", "without quotes"),
        ("parameters", True, "one number"),
        ("parameters", math.nan, "no answer"),
        ("parameters", lambda: 1, "one number; this is a function"),
        ("cross_shape", (32, 8, 15), "3 axes; there are 4"),
        ("cross_shape", (32, 8, 15, 21), "Axis 3 is not 21. All before it are right."),
        ("cross_shape", 3, "a tuple of whole numbers"),
        ("placement", 7, "one letter"),
        ("placement", "norm(x)", "one letter"),
        ("placement", "Z", "not among the choices"),
    ],
)
def test_a_wrong_plain_answer_gets_a_sentence(name: str, answer: Any, words: str):
    result = ANSWERS[name].check(answer)
    assert not result.passed
    assert words in result.message
    assert UNCHECKABLE not in result.message


def lstm_step_with(
    change: Callable[[torch.Tensor, torch.Tensor], Any],
) -> Callable[..., Any]:
    return lambda x, h, c, w, b, u: change(
        *CODE["lstm_step"].implementation()(x, h, c, w, b, u)
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda h, c: (h, c + torch.arange(c.shape[1])),
            " (`c`): Batch 0, d_hidden 1 is",
        ),
        (lambda h, c: (h, c[:, :1]), "(`c`): The shape should be (batch, d_hidden)"),
        (lambda h, c: (h.abs(), c), " (`h`): "),
        (
            lambda h, c: (h, c, c),
            "It should return `h` and `c`, in this order; it returned 3 things.",
        ),
        (lambda h, c: (h,), "it returned 1 thing."),
        (lambda h, c: c, "Your function returns one tensor."),
        (lambda h, c: (h, 3.0), "each of them a tensor; its `c` is a float"),
        (lambda h, c: print(end=""), "it returned None (is there a `return`?)"),
        (lambda h, c: {"h": h, "c": c}, "it returned a dict"),
    ],
)
def test_of_several_results_the_wrong_one_is_named(
    change: Callable[[torch.Tensor, torch.Tensor], Any], words: str
):
    result = CODE["lstm_step"].check(lstm_step_with(change))
    assert not result.passed
    assert words in result.message
    assert UNCHECKABLE not in result.message


class Odd(BaseException):
    """No Exception, and without words."""

    def __str__(self) -> str:
        raise RuntimeError


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.floats(), max_size=3),
    st.builds(object),
    st.builds(
        lambda shape: torch.randn(shape), st.lists(st.integers(0, 4), max_size=4)
    ),
    st.builds(
        lambda shape: torch.zeros(shape, dtype=torch.complex64),
        st.lists(st.integers(0, 3), max_size=3),
    ),
    st.builds(lambda: torch.ones(2).to_sparse()),
    st.builds(lambda: nn.Linear(1, 1)),
    st.just(torch),
    st.sampled_from(
        [np.float64(1), np.ones(3), F.softmax, len, type, ..., NotImplemented]
    ),
)
RAISED = st.sampled_from(
    [
        ValueError("x"),
        TypeError(),
        Odd(),
        SystemExit(),
        GeneratorExit(),
        StopIteration(),
        BaseException("b"),
        MemoryError(),
        OSError(2, "`no`"),
    ]
)


@st.composite
def callables(draw: st.DrawFn) -> Any:
    kind = draw(
        st.sampled_from(
            ["returns", "raises", "arity", "class", "object", "builtin", "generator"]
        )
    )
    value, error, arity = draw(ANYTHING), draw(RAISED), draw(st.integers(0, 6))

    def fail(*args: Any) -> Any:
        raise error

    if kind == "returns":
        return lambda *args, **kwargs: value
    if kind == "raises":
        return fail
    if kind == "arity":
        return eval(
            f"lambda {', '.join(f'a{i}' for i in range(arity))}: value",
            {"value": value},
        )
    if kind == "class":
        base = draw(st.sampled_from([object, nn.Module]))
        return type(
            "Mine",
            (base,),
            {
                draw(
                    st.sampled_from(["__init__", "forward", "__call__", "state_dict"])
                ): fail
            },
        )
    if kind == "object":
        return type(
            "Mine",
            (),
            {"__call__": fail, "__getattr__": fail, "__class__": property(fail)},
        )()
    if kind == "generator":
        return lambda *args: (yield value)
    return value


@pytest.mark.parametrize(
    "name",
    [
        "rnn",
        "rnn_inside",
        "scaled_dot_product",
        "multi_head",
        "padding_mask",
        "greedy",
        "parameters",
        "placement",
    ],
)
@given(callables())
def test_whatever_is_checked_no_exception_escapes_and_nothing_wrong_passes(
    name: str, answer: Any
):
    result = TASKS[name].check(answer)
    assert not result.passed
    assert repr(result)
    assert result._repr_markdown_()


# What a learner sees


@pytest.mark.parametrize("name", CODE)
def test_the_same_answer_gets_the_same_words_every_time(name: str):
    task = CODE[name]
    wrong = task.implementation(task.mistakes[0])
    first, second = task.check(wrong), task.check(task.implementation(task.mistakes[0]))
    assert first == second
    assert "0x" not in repr(first)
    assert repr(first).startswith(f"✗ {name}: ")
    assert first._repr_markdown_().startswith(f"**✗ {name}**: ")


def test_hints_open_one_by_one_and_progress_is_kept():
    task = CODE["rnn_step"]
    task.hints_seen = task.tries = 0
    task.passed = False
    row = f"`rnn_step` | {'★' * task.difficulty:☆<5} | {task.minutes}"
    table = CHAPTERS["rnn"].progress
    assert f"| ○ | {row} |" in repr(table())
    hints = [repr(task.hint()) for _ in range(len(task.hints) + 1)]
    assert hints[0].startswith("**Hint 1 of 3.**")
    assert task.hints[0] in hints[0]
    assert hints[-1] == hints[-2]
    assert "`solution()`" in hints[-1]
    task.check(written(task, task.stub))
    assert f"| ○ | {row} | 0 | 3/3 |" in repr(table()), "a blank stub is no try"
    task.check(None)
    assert f"| ✗ | {row} | 1 | 3/3 |" in repr(table())
    task.check(written(task, task.source))
    assert f"| ✓ | {row} | 2 | 3/3 |" in table()._repr_markdown_()


def test_progress_lists_what_the_chapter_asks_and_nothing_else():
    for slug, chapter in CHAPTERS.items():
        rows = re.findall(r"^\| . \| `(\w+)`", repr(chapter.progress()), re.MULTILINE)
        assert tuple(rows) == chapter.asks, slug
        assert set(chapter.asks) <= chapter.exercises.keys()


def test_every_exercise_belongs_to_one_chapter():
    count = sum(len(chapter.exercises) for chapter in CHAPTERS.values())
    assert len(TASKS) + 1 == count >= 44  # the milestone stands apart


@pytest.mark.parametrize("slug", CHAPTERS)
def test_a_written_chapter_asks_what_its_notebook_asks(slug: str):
    (of,) = [chapter for chapter in minitfm.CHAPTERS if chapter.slug == slug]
    file = Path(__file__).parents[2] / "notebooks" / f"{of.notebook}.ipynb"
    if not file.exists():
        return
    cells = json.loads(file.read_text())["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    assert tuple(re.findall(r"\bex\.(\w+)\.check\(", code)) == CHAPTERS[slug].asks


def test_a_progress_file_is_the_learners_and_goes_over_all_chapters(tmp_path):
    first, second = TASKS["rnn_parameters"], TASKS["cross_shape"]
    states = [(t.tries, t.passed, t.hints_seen) for t in (first, second)]
    try:
        first.tries, first.passed, first.hints_seen = 2, True, 1
        second.tries, second.passed, second.hints_seen = 1, False, 0
        file = save(tmp_path / "mine.json")
        assert json.loads(file.read_text())["rnn"]["rnn_parameters"] == {
            "passed": True,
            "tries": 2,
            "hints": 1,
        }
        for task in (first, second):
            task.tries, task.passed, task.hints_seen = 0, False, 0
        assert "right so far" in repr(load(file))
        assert (first.tries, first.passed, first.hints_seen) == (2, True, 1)
        assert (second.tries, second.passed, second.hints_seen) == (1, False, 0)
        (tmp_path / "other.json").write_text("[]")
        with pytest.raises(ValueError, match="no progress file"):
            load(tmp_path / "other.json")
        assert len(list(tmp_path.iterdir())) == 2, "nothing is written unasked"
    finally:
        for task, state in zip((first, second), states):
            task.tries, task.passed, task.hints_seen = state


def test_statement_and_solution_are_shown():
    task = CODE["layer_norm"]
    assert task.statement in repr(task)
    assert "★★☆☆☆ · 10 min" in task._repr_markdown_()
    assert task.solution()._repr_markdown_().startswith("```python\ndef layer_norm(")
    assert ANSWERS["parameters"].solution().text.endswith("# 63045632")


def test_an_instructor_can_grade_in_a_loop():
    hand_in = {"Ada": scaled_dot_product_attention, "Ben": lambda q, k, v, m=None: v}
    passed = {
        name: bool(CODE["scaled_dot_product"].check(answer))
        for name, answer in hand_in.items()
    }
    assert passed == {"Ada": True, "Ben": False}


# The learner's own parts in the model of chapter 3


def losses_on_dates(
    loss: Callable[..., torch.Tensor] = teacher_forcing_loss,
    fast: bool = False,
    **options: Any,
) -> list[float]:
    pairs = dates(64, seed=0)
    vocabulary = Vocabulary.of(text for pair in pairs for text in pair)
    source = vocabulary.encode([english for english, _ in pairs])
    target = vocabulary.encode([japanese for _, japanese in pairs], bos=True, eos=True)
    torch.manual_seed(0)
    model = Seq2Seq(len(vocabulary), 16, **options)
    model = accelerate(model) if fast else model
    return fit(
        model, loss, shuffled(source, target, batch=16, seed=0), 4, progress=False
    ).loss


@pytest.mark.parametrize(
    "options", [{}, {"layers": 2}, {"d_vector": 5}, {"fast": True}], ids=repr
)
def test_the_encoder_decoder_trains_with_the_learners_encoder(options: dict[str, Any]):
    task, own = CODE["source_vector"], Seq2Seq.encode
    right = losses_on_dates(**options)
    assert right[-1] < right[0]
    with plugged(encode=task.implementation()):
        assert losses_on_dates(**options) == pytest.approx(right, abs=1e-4)
    for name in ("padding read", "mask inverted", "target's embedding"):
        wrong = task.implementation(
            next(one for one in task.mistakes if one.name == name)
        )
        with plugged(encode=wrong):
            assert losses_on_dates(**options) != pytest.approx(right, abs=1e-4)
    assert Seq2Seq.encode is own


def test_shift_and_masked_loss_together_are_the_packages_loss():
    shift, masked_loss = (
        CODE["shift"].implementation(),
        CODE["masked_loss"].implementation(),
    )

    def loss(
        model: nn.Module, source: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        read, predict = shift(target)
        return masked_loss(model(source, read), predict)

    assert losses_on_dates(loss) == pytest.approx(losses_on_dates(), abs=1e-5)


def test_the_mean_of_exact_rows_is_the_exact_match():
    written = torch.tensor([[3, 4, 2, 0], [5, 2, 0, 0], [3, 3, 3, 2], [4, 4, 4, 4]])
    target = torch.tensor(
        [[3, 4, 2, 0, 0], [5, 5, 2, 0, 0], [3, 3, 3, 2, 0], [4, 4, 4, 4, 2]]
    )
    rows = CODE["exact_rows"].implementation()(written, target)
    assert rows.tolist() == [True, False, True, False]
    assert rows.double().mean() == exact_match(written, target)


def test_an_encoder_that_does_not_fit_gets_a_sentence():
    with (
        pytest.raises(
            TypeError, match="encode is a function; give the function itself, not int"
        ),
        plugged(encode=3),
    ):
        pass
    with pytest.raises(ValueError, match="did you mean encode"), plugged(encod=len):
        pass


# Mistakes that are in no catalogue


@pytest.mark.parametrize(
    "name", [name for name, task in CODE.items() if not isinstance(task, Inside)]
)
def test_every_single_edit_that_differs_anywhere_is_rejected(name: str):
    """The draw that decides is larger, with other seeds, shapes and magnitudes."""
    task = CODE[name]
    wide: list[tuple[Case, Any]] = []
    count = survivors = 0
    for edit in edits(task.source):
        mutant = compiled(edit.apply(task.source), task.names)
        if mutant is None:
            continue
        count += 1
        if not task.passes(mutant):
            continue
        survivors += 1
        for seed in range(1, 5) if not wide else ():
            wide += [
                (case, task.observe(task.reference, case))
                for case in task.cases(Draw(seed, 12, (0.02, 1.0, 5.0)))
            ]
        mutant = compiled(edit.apply(task.source), task.names)
        for case, truth in wide:
            assert same(task.observe(mutant, case), truth), (str(edit), case.note)
    assert survivors < max(8, count / 4)
