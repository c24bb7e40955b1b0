"""The notebooks run from the installed package, their outputs hold, and their prose claims nothing unmeasured."""

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import unicodedata
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from minitfm import CHAPTERS, __version__
from minitfm.exercises.engine.exercise import Task
from tests import facts
from tests.tools.exercise_cells import code_cell, solved, text_cell, wrapped
from tests.tools.run_notebooks import KERNEL, normalize

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REPOSITORY = PROJECT["project"]["urls"]["Repository"]

# The chapter from which on a module may be used; 0 for what every chapter may use.
CHAPTER = {
    "study": 0,
    "web": 0,
    "exercises": 0,
    "results": 0,
    "fast": 0,
    "translate": 10,
}
CHAPTER |= {
    module: chapter.number for chapter in CHAPTERS for module in chapter.modules
}


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def python(source: str) -> str:
    """A cell's code without IPython's magics."""
    return "\n".join(
        re.sub(r"^(\s*)%.*", r"\1pass", line) for line in source.splitlines()
    )


EXERCISE = re.compile(r"### Exercise \d+: ([^★]+) ★")


def exercises(notebook: NotebookNode) -> list[Task]:
    """The exercises of a notebook, which imports their chapter as ``ex``."""
    code = "\n".join(cell.source for cell in code_cells(notebook))
    (name,) = re.findall(r"from minitfm\.exercises import (\w+) as ex", code)
    chapter = importlib.import_module(f"minitfm.exercises.{name}")
    titles = [
        found[1] for cell in notebook.cells if (found := EXERCISE.match(cell.source))
    ]
    return [getattr(chapter, title.strip().replace(" ", "_")) for title in titles]


def squeezed(code: str) -> str:
    """Code without regard to how its lines are broken."""
    return re.sub(r"[\s()]+|,(?=\s*\))", "", code)


def text_of(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return output.text
    return "\n".join(
        str(value)
        for mime, value in output.get("data", {}).items()
        if mime.startswith("text/")
    )


each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# The primer on PyTorch, number 0, has no exercises.
each_chapter = pytest.mark.parametrize(
    "path",
    [path for path in NOTEBOOKS if not path.stem.startswith("00")],
    ids=lambda path: path.stem,
)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package as a user gets it: built as a wheel, installed from there."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    ignored = shutil.ignore_patterns(
        ".venv",
        ".git",
        "_build",
        "build",
        "*.egg-info",
        ".*_cache",
        "__pycache__",
        "book",
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(source),
    ]
    subprocess.run(wheel, check=True)
    (built,) = folder.glob("*.whl")
    site = folder / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(built)], check=True
    )
    return site


def environment(installed: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(installed),
        "PYTHONWARNINGS": "ignore::DeprecationWarning",
    }


def test_the_wheel_holds_the_whole_package(installed):
    expected = {path.relative_to(ROOT) for path in (ROOT / "minitfm").rglob("*.py")}
    expected |= {
        path.relative_to(ROOT)
        for path in (ROOT / "minitfm" / "web" / "static").rglob("*")
        if path.is_file()
    }
    expected |= {
        Path("minitfm/results") / path.name
        for path in (ROOT / "notebooks" / "data").glob("*.[cp][sy]*")
    }
    present = {
        path.relative_to(installed)
        for path in (installed / "minitfm").rglob("*")
        if path.is_file()
    }
    assert not expected - present
    where = [sys.executable, "-c", "import minitfm; print(minitfm.__file__)"]
    found = subprocess.run(
        where,
        env=environment(installed),
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == str(installed / "minitfm" / "__init__.py")


def nbval(notebook: Path) -> list[str]:
    """The command that runs a notebook and compares its outputs with the stored ones."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, "--rootdir", str(notebook.parent)]
    command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "600"]
    sanitizer = ROOT / "tests" / "sanitize.cfg"
    return [*command, "--nbval-sanitize-with", str(sanitizer), str(notebook)]


@each_notebook
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("changed_since_it_passed")
def test_a_notebook_runs_in_an_empty_folder_and_its_outputs_hold(
    path, installed, tmp_path
):
    copy = shutil.copy(path, tmp_path)
    run = subprocess.run(
        nbval(Path(copy)),
        cwd=tmp_path,
        env=environment(installed),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    cells = sum(1 for cell in code_cells(read(path)))
    assert f"{cells} passed" in run.stdout
    assert [file.name for file in tmp_path.iterdir()] == [path.name], (
        "a notebook leaves nothing behind"
    )


@each_notebook
def test_a_notebook_is_stored_as_a_clean_run_leaves_it(path):
    notebook = read(path)
    before = nbformat.writes(notebook)
    normalize(notebook, path.stem)
    assert nbformat.writes(notebook) == before, "run `make notebooks`"
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert "widgets" not in notebook.metadata
    assert path.stat().st_size < 1_500_000


@each_notebook
def test_most_outputs_are_compared_and_claims_asserted(path):
    cells = code_cells(read(path))
    exempt = [
        c
        for c in cells
        if {"nbval-ignore-output", "nbval-skip"} & set(c.metadata.get("tags", []))
    ]
    assert 3 * len(exempt) <= len(cells)
    assert sum("assert" in cell.source for cell in cells) >= 3
    assert not [cell for cell in cells if "nbval-skip" in cell.metadata.get("tags", [])]


@each_notebook
def test_a_notebook_imports_only_its_own_and_earlier_chapters(path):
    chapter = int(path.stem[:2])
    used = set()
    for cell in code_cells(read(path)):
        for node in ast.walk(ast.parse(python(cell.source))):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module
                and node.module.startswith("minitfm")
            ):
                parts = node.module.split(".")
                used |= (
                    {parts[1]}
                    if len(parts) > 1
                    else {alias.name for alias in node.names}
                )
    assert used, "a chapter that uses nothing of the package?"
    assert not {module for module in used if CHAPTER[module] > chapter}


@each_notebook
def test_pictures_have_words_for_those_who_cannot_see_them(path):
    for cell in code_cells(read(path)):
        for output in cell.outputs:
            data = output.get("data", {})
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            for svg in re.findall(r"<svg .*?>", data.get("text/html", "")):
                (alt,) = re.findall(r'aria-label="(.*?)"', svg)
            if "image/png" in data or "<svg " in data.get("text/html", ""):
                assert len(alt) > 40, f"describe the picture of cell {cell.id}"


@each_notebook
def test_pictures_fit_a_phone(path):
    """They are 4.2 inches wide at most, 420 pixels, and their type is 9 points at least, 9.8 pixels on a phone."""
    for cell in code_cells(read(path)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                size = output.metadata.get("image/png", {})
                assert 0 < size.get("width", 0) <= 420, f"cell {cell.id}: {size}"
            frames = output.get("data", {}).get("text/html", "")
            for width in re.findall(r'<img [^>]*width="(\d+)"', frames):
                assert int(width) <= 420, f"the frames of cell {cell.id}"
        small = [
            size
            for size in re.findall(r"(?:font|label)size=([\d.]+)", cell.source)
            if float(size) < 9
        ]
        assert not small, f"cell {cell.id} sets type of {small} points"


def columns(line: str) -> int:
    """How wide a line is, in letters; a Japanese one takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@each_notebook
def test_no_line_is_wider_than_the_page(path):
    long = []
    for cell in code_cells(read(path)):
        lines = [(line, 80) for line in cell.source.splitlines() if "%pip" not in line]
        for output in cell.outputs:
            if {"text/html", "text/markdown"} & set(output.get("data", {})):
                continue  # no lines of text, but an element
            lines += [(line, 72) for line in text_of(output).splitlines()]
        long += [(cell.id, line) for line, most in lines if columns(line) > most]
    assert not long


@each_notebook
def test_numbers_are_shown_and_not_only_tested(path):
    """A line that says "between 11 and 13: True" keeps its number to itself."""
    kept = [
        (cell.id, line)
        for cell in code_cells(read(path))
        for output in cell.outputs
        if "text/markdown" not in output.get("data", {})  # not a source of the package
        for line in text_of(output).splitlines()
        if re.search(r"\b(True|False)\s*$", line)
    ]
    assert not kept, "print the number, behind ≈ if it differs elsewhere"


STORED = {  # what a cell prints, what was stored of it, and whether that is the same
    "another trained number": ("loss ≈ 1.25 nats", "loss ≈ -1.3e-05 nats", True),
    "another row": ("≈| LSTM   1.25   3 of 9", "≈| LSTM   1,300   4 of 9", True),
    "another text before it": ("loss ≈ 1.25 nats", "gain ≈ 1.25 nats", False),
    "another unit behind it": ("loss ≈ 1.25 nats", "loss ≈ 1.25 bits", False),
    "another number without it": ("12 names, ≈ 1.25", "13 names, ≈ 1.25", False),
    "the sign itself": ("loss ≈ 1.25", "loss = 1.25", False),
    "a row under the row": ("≈| LSTM  1.2\n20 names", "≈| LSTM  1.2\n21 names", False),
}


def test_only_numbers_behind_the_sign_may_differ(tmp_path):
    notebook = nbformat.v4.new_notebook(metadata=KERNEL)
    for printed, stored, _ in STORED.values():
        cell = nbformat.v4.new_code_cell(f"print({printed!r})", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", text=stored + "\n")]
        notebook.cells.append(cell)
    path = tmp_path / "signs.ipynb"
    nbformat.write(notebook, path)
    run = subprocess.run(nbval(path), cwd=tmp_path, capture_output=True, text=True)
    failed = {
        int(n) for n in re.findall(r"Cell (\d+): Cell outputs differ", run.stdout)
    }
    expected = {n for n, (_, _, same) in enumerate(STORED.values()) if not same}
    assert failed == expected, run.stdout[-3000:]


# What precedes a number when it points at a place rather than states a quantity.
POINTERS = r"(?:sections?|chapters?|equations?|eq\.|figures?|tables?|rows?|footnotes?|version|arXiv|Python)"


def claimed_numbers(markdown: str) -> set[str]:
    """The numbers that a reader would take for a statement."""
    text = re.sub(
        r"```.*?```|`[^`]*`|\$[^$]*\$|\{[\w:-]+\}`[^`]*`|\]\([^)]*\)|<[^>]*>|https?://\S+",
        " ",
        markdown,
        flags=re.S,
    )
    text = re.sub(
        rf"\b{POINTERS}\s+[\d.]+(?:(?:,|\s+and|\s+to|\s+or|–)\s*[\d.]+)*",
        " ",
        text,
        flags=re.I,
    )
    text = re.sub(r"^\s*\d+\.\s", " ", text, flags=re.M)  # items of a numbered list
    return {number.rstrip(".,") for number in re.findall(r"\d[\d,.]*", text)}


LEARNED = re.compile(r"≈\s*([-−+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?)|≈\|(.*)")


def learned_numbers(path: Path) -> list[float]:
    """The numbers that outputs show behind the sign ≈, or in a row that begins with ≈|."""
    found = []
    for cell in code_cells(read(path)):
        for one, row in LEARNED.findall("\n".join(map(text_of, cell.outputs))):
            numbers = [one] if one else re.findall(r"[-−]?\d[\d,]*\.?\d*", row)
            found += [float(n.replace(",", "").replace("−", "-")) for n in numbers]
    return found


def rounds_to(value: float, number: str) -> bool:
    """Whether prose may say ``number`` of a value: 12.0, 12 and 10 of 11.96, not 11.9."""
    whole, _, decimals = number.replace(",", "").partition(".")
    zeros = 0 if decimals else len(whole) - len(whole.rstrip("0"))
    places = range(-zeros, 1) if not decimals else [len(decimals)]
    said = float(number.replace(",", ""))
    return any(abs(round(abs(value), n) - said) < 1e-9 * max(1, said) for n in places)


def test_prose_may_round_a_learned_number():
    for number in ("11.96", "12.0", "12", "10"):
        assert rounds_to(11.96, number)
    for number in ("11.9", "11", "13", "20", "11.960001"):
        assert not rounds_to(11.96, number)
    assert rounds_to(1234.0, "1,200")
    assert not rounds_to(1250.5, "1,200")
    assert rounds_to(-0.3, "0.3")
    assert LEARNED.findall("loss ≈ −1.5e-03 nats, 7 of 9") == [("−1.5e-03", "")]
    assert LEARNED.findall("≈| LSTM 3 4\n5") == [("", " LSTM 3 4")]


@each_notebook
def test_every_number_in_the_prose_is_computed_or_cited(path):
    notebook = read(path)
    computed = "\n".join(
        "\n".join([cell.source, *(text_of(output) for output in cell.outputs)])
        for cell in code_cells(notebook)
    )
    known = {
        number.rstrip(".,").replace(",", "").replace("_", "")
        for number in re.findall(r"\d[\d,._]*", computed)
    }
    cited = facts.PAPER | {
        str(chapter.minutes) for chapter in CHAPTERS if chapter.notebook == path.stem
    }  # the time that a chapter takes is our estimate
    prose = "\n".join(
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        and not EXERCISE.match(cell.source)  # these are checked by themselves
    )
    for key, numbers in facts.PUBLISHED.items():
        if key in prose:
            cited = cited | numbers
    learned = learned_numbers(path)
    unfounded = {
        number
        for number in claimed_numbers(prose)
        if number not in cited
        and number.replace(",", "") not in known
        and not any(rounds_to(value, number) for value in learned)
    }
    assert not unfounded, (
        f"no cell computes {sorted(unfounded)}, and tests/facts.py knows no source for them"
    )


def test_the_number_check_finds_numbers():
    assert claimed_numbers("It takes 3.5 hours, or 1,200 steps.") == {"3.5", "1,200"}
    assert not claimed_numbers(
        "See section 3.4, chapters 4 to 8 and Table 3; `x[5]`, $d_k = 64$, {cite:p}`vaswani2017`."
    )
    assert claimed_numbers("1. In 2017") == {"2017"}


@each_chapter
def test_exercises_stand_in_the_notebook_as_in_the_catalogue_and_blank(path):
    notebook = read(path)
    tasks = exercises(notebook)
    assert 3 <= len(tasks) <= 6
    assert [task.difficulty for task in tasks] == sorted(
        task.difficulty for task in tasks
    ), "easy to hard"
    cells = [cell for cell in notebook.cells if EXERCISE.match(cell.source)]
    for number, (cell, task) in enumerate(zip(cells, tasks), 1):
        assert cell.source == text_cell(task, number), (
            "print it anew: python -m tests.tools.exercise_cells"
        )
        code = notebook.cells[notebook.cells.index(cell) + 1]
        assert squeezed(code.source) == squeezed(code_cell(task, task.stub))
        assert "not attempted yet" in text_of(code.outputs[0])


def test_a_stub_is_no_wider_than_a_cell_and_the_same_code():
    stub = 'def f(x):\n    """' + "x (batch, token), " * 6 + '"""\n    raise ValueError'
    narrow = wrapped(stub)
    assert max(map(len, narrow.splitlines())) <= 80 < len(stub.splitlines()[1])
    assert squeezed(narrow) == squeezed(stub)
    assert wrapped(narrow) == narrow


@each_chapter
@pytest.mark.usefixtures("changed_since_it_passed")
def test_the_solutions_pass_in_the_notebook_and_what_follows_them_runs(path, tmp_path):
    """Run the cells that exercises need, and the exercises with their solutions, training for two steps."""
    notebook = read(path)
    tasks = {squeezed(code_cell(task, task.stub)): task for task in exercises(notebook)}
    notebook.cells = [
        cell
        for cell in code_cells(notebook)
        if {"setup", "exercise"} & set(cell.metadata.get("tags", []))
    ]
    checks = []
    for cell in notebook.cells:
        task = tasks.get(squeezed(cell.source))
        if task:
            cell.source = solved(task)
            checks.append(cell)
        cell.source = re.sub(r"\bsteps=\d+", "steps=2", cell.source)
    assert len(checks) == len(tasks)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=tmp_path)
    for cell in checks:
        assert text_of(cell.outputs[-1]).startswith("✓"), text_of(cell.outputs[-1])
    printed = "".join(
        text_of(output) for cell in notebook.cells for output in cell.outputs
    )
    assert "with your " in printed, (
        "the exercise that trains says how well the learner's part did"
    )
    assert f"{len(tasks)} of" in printed


@each_notebook
def test_colab_installs_the_course_and_keeps_its_torch(path, tmp_path):
    """Run the first cell with a pretended ``google.colab``, recording what it would install."""
    cell = code_cells(read(path))[0]
    assert "google.colab" in cell.source
    script = f"""
import json, sys, types
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
commands = []
shell.register_magic_function(lambda line: commands.append(line), magic_name="pip")
source = {cell.source!r}
shell.run_cell(source).raise_error()
here = list(commands)
sys.modules["google.colab"] = types.ModuleType("google.colab")
shell.run_cell(source).raise_error()
import torch
print(json.dumps([here, commands, torch.__version__]))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    elsewhere, commands, torch_version = json.loads(run.stdout.splitlines()[-1])
    assert elsewhere == [], "nothing is installed anywhere but on Colab"
    (command,) = commands
    match = re.fullmatch(
        r'install --quiet "minitfm\[(\w+)\] @ git\+(\S+)" "torch==(\S+)"', command
    )
    assert match, command
    extra, address, kept = match.groups()
    assert extra in PROJECT["project"]["optional-dependencies"]
    assert address == f"{REPOSITORY}@v{__version__}", "the tag of the version at hand"
    assert kept == torch_version, "the torch that is there is the one that stays"


def test_there_are_notebooks():
    assert "09_transformer" in {path.stem for path in NOTEBOOKS}
