"""Corpora come whole, unchanged and once, or not at all; what their READMEs ask for is told."""

import contextlib
import dataclasses
import gzip
import hashlib
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitfm.translate import corpora
from minitfm.translate.corpora import (
    CORPORA,
    Corpus,
    corpus,
    detokenize,
    shakespeare,
    tokenize_english,
)
from tests.corpora import each_real_corpus, real

FILES = {
    "train.en": b"a cat .\ntwo cats .\n",
    "train.de.gz": gzip.compress(
        "Eine Katze.\nZwei \u2028 Katzen.\n".encode(), mtime=0
    ),
}
PAIRS = [("a cat .", "Eine Katze."), ("two cats .", "Zwei \u2028 Katzen.")]
NOTICE = "small (http://example.org): cite nobody."


class Server(http.server.ThreadingHTTPServer):
    """Serves FILES from memory, well or badly, and counts."""

    requests = 0
    wait: threading.Barrier | None = None
    how = "right"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        content = FILES.get(self.path.rpartition("/")[2])
        if content is None or self.server.how == "missing":
            self.send_error(404)
            return
        if self.server.wait:
            self.server.wait.wait(30)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.how == "truncated":
            content = content[:-5]
        if self.server.how == "wrong":
            content = content[:-1] + b"?"
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


def small(port: int) -> Corpus:
    return Corpus(
        name="small",
        languages=("en", "de"),
        address=f"http://127.0.0.1:{port}/at/some/commit/",
        splits={
            "train": {
                name: hashlib.sha256(content).hexdigest()
                for name, content in FILES.items()
            }
        },
        notice=NOTICE,
    )


@pytest.fixture
def folder(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the small corpus goes, which the server has."""
    monkeypatch.setenv("MINITFM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setitem(CORPORA, "small", small(server.server_port))
    corpora._show_notice.cache_clear()
    return tmp_path / "data" / "small"


def test_a_corpus_is_fetched_once_and_then_read_from_the_folder(folder, server):
    assert corpus("small", "train") == PAIRS
    assert server.requests == 2
    assert corpus("small", "train") == PAIRS
    assert server.requests == 2
    assert {path.name for path in folder.iterdir()} == {*FILES, "NOTICE.txt"}
    assert all(
        (folder / name).read_bytes() == content for name, content in FILES.items()
    )


def test_what_its_readme_asks_for_is_told_once(folder, capsys):
    corpus("small", "train")
    told = capsys.readouterr()
    assert told.err == NOTICE + "\n"
    assert told.out == ""
    corpora._show_notice.cache_clear()  # as if in another process
    corpus("small", "train")
    assert capsys.readouterr().err == ""
    assert (folder / "NOTICE.txt").read_text("utf-8") == NOTICE + "\n"


def test_files_that_the_reader_put_there_need_no_network_and_no_permission_to_write(
    folder, server, monkeypatch, capsys
):
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)

    def read_only(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", read_only)
    monkeypatch.setattr(Path, "read_bytes", lambda path: FILES[path.name])
    assert corpus("small", "train") == corpus("small", "train") == PAIRS
    assert capsys.readouterr().err == NOTICE + "\n"
    assert server.requests == 0


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("missing", "the server answered 404 Client Error: Not Found"),
        ("wrong", "what came has another SHA-256"),
        ("truncated", "the transfer broke off"),
    ],
)
def test_what_cannot_be_fetched_whole_and_right_is_not_there_afterwards(
    folder, server, capsys, how, reason
):
    server.how = how
    with pytest.raises(FileNotFoundError) as caught:
        corpus("small", "train")
    address = CORPORA["small"].address
    assert str(caught.value) == (
        f"train.en of small is missing and could not be fetched, {reason}: "
        f"get it from {address}train.en and put it into {folder}"
    )
    assert list(folder.iterdir()) == []
    assert capsys.readouterr() == ("", "")
    server.how = "right"
    assert corpus("small", "train") == PAIRS


def test_without_a_network_one_line_names_the_file_its_address_and_the_folder(
    folder, monkeypatch
):
    with socket.socket() as nobody:
        nobody.bind(
            ("127.0.0.1", 0)
        )  # bound and not listening: the connection is refused
        monkeypatch.setitem(CORPORA, "small", small(nobody.getsockname()[1]))
        with pytest.raises(FileNotFoundError, match="there is no connection") as caught:
            corpus("small", "train")
    for part in ("train.en", CORPORA["small"].address + "train.en", str(folder)):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_address_that_nobody_knows_is_no_connection_either(folder, monkeypatch):
    lost = dataclasses.replace(CORPORA["small"], address="http://nowhere.invalid/")
    monkeypatch.setitem(CORPORA, "small", lost)
    with pytest.raises(FileNotFoundError, match="no connection"):
        corpus("small", "train")


def test_a_folder_that_cannot_be_made_is_named(folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MINITFM_DATA", str(tmp_path / "file"))
    with pytest.raises(
        FileNotFoundError, match=f"put it into {tmp_path / 'file' / 'small'}$"
    ):
        corpus("small", "train")


def test_another_file_under_the_right_name_is_neither_read_nor_overwritten(
    folder, server
):
    folder.mkdir(parents=True)
    mine = folder / "train.en"
    mine.write_text("my own notes")
    with pytest.raises(
        ValueError, match=f"{mine} is not the file it should be.*delete it"
    ):
        corpus("small", "train")
    assert mine.read_text() == "my own notes"
    assert server.requests == 0


def test_two_processes_may_fetch_at_once(folder, server):
    server.wait = threading.Barrier(2)  # answers neither before both have asked
    code = (
        "import sys; from tests.translate.test_corpora import *;"
        f"CORPORA['small'] = small({server.server_port}); print(corpus('small', 'train') == PAIRS)"
    )
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-c", code]
        root = Path(__file__).parents[2]
        started = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=root,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        out, told = zip(*(process.communicate(timeout=120) for process in started))
    assert out == ("True\n", "True\n"), told
    assert sorted(told) == ["", NOTICE + "\n"]
    assert server.requests == 4
    assert {path.name for path in folder.iterdir()} == {*FILES, "NOTICE.txt"}


def test_without_the_environment_variable_the_cache_of_the_user_is_the_place(
    monkeypatch, tmp_path
):
    monkeypatch.delenv("MINITFM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert corpora.data_folder().name == "minitfm"
    monkeypatch.setenv("MINITFM_DATA", "~/corpora")
    assert corpora.data_folder() == Path.home() / "corpora"


def test_a_missing_pooch_is_named_with_its_remedy(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(
        ModuleNotFoundError, match=re.escape("pip install 'minitfm[notebook]'")
    ):
        corpus("small", "train")


@pytest.mark.parametrize(
    ("name", "split", "complaint"),
    [
        (
            "wmt14",
            "train",
            "'wmt14' is no corpus of sentence pairs; there are small_parallel_enja, multi30k",
        ),
        (
            "tinyshakespeare",
            "train",
            "'tinyshakespeare' is no corpus of sentence pairs",
        ),
        ("multi30k", "dev", "multi30k has no split 'dev'; it has train, valid, test"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(name, split, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        corpus(name, split)


def test_every_corpus_is_pinned_to_a_commit_and_every_file_to_a_checksum():
    for name, listed in CORPORA.items():
        assert listed.name == name
        assert re.match(
            r"https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/[0-9a-f]{40}/",
            listed.address,
        )
        assert listed.address.endswith("/")
        for files in listed.splits.values():
            assert len(files) == len(listed.languages)
            assert all(
                re.fullmatch("[0-9a-f]{64}", checksum) for checksum in files.values()
            )
        assert listed.notice.startswith(name)
        assert "README" in listed.notice
    with pytest.raises(dataclasses.FrozenInstanceError):
        listed.name = "mine"


def test_the_import_is_light():
    code = "import sys, minitfm.translate.corpora, minitfm.translate.tokenizers, minitfm.translate.batches; print({'pooch', 'tokenizers'} & {*sys.modules})"
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "set()\n"


def test_lines_are_written_as_people_write_them():
    assert detokenize("i can 't tell , can i ?") == "i can't tell, can i?"
    assert detokenize("私 は テニス 部員 で す 。") == "私はテニス部員です。"
    assert (
        detokenize("１２ 時 に 「 ｔｈａｎｋ ｙｏｕ 」 と 言 う")
        == "１２時に「ｔｈａｎｋ ｙｏｕ」と言う"
    )
    assert tokenize_english("I'm late, aren't I?") == "i 'm late , aren 't i ?"
    assert tokenize_english("I’m late.") == "i 'm late ."  # a curly apostrophe
    assert (
        tokenize_english("It's 1,000 miles to St. Ives.")
        == "it 's 1,000 miles to st . ives ."
    )


@given(st.text())
def test_only_spaces_vanish_when_words_are_put_together(text):
    assert detokenize(text).replace(" ", "") == text.replace(" ", "")


SIZES = {"small_parallel_enja": (50_000, 500, 500), "multi30k": (29_000, 1_014, 1_000)}


@each_real_corpus
def test_the_real_corpora_have_the_sizes_that_their_readmes_state(name):
    for split, size in zip(("train", "valid", "test"), SIZES[name]):
        pairs = corpus(name, split)
        assert len(pairs) == size
        assert all(side.strip() for pair in pairs for side in pair)


@pytest.mark.parametrize("name", [real("tinyshakespeare")])
def test_shakespeare_is_one_text(name):
    assert shakespeare().startswith("First Citizen:\n")
    assert len(shakespeare()) == 1_115_394


@pytest.mark.parametrize("name", [real("small_parallel_enja")])
def test_english_put_together_and_taken_apart_again_is_nearly_always_the_same(name):
    lines = [english for english, _ in corpus(name, "train")]
    assert (
        sum(tokenize_english(detokenize(line)) == line for line in lines) / len(lines)
        > 0.99
    )
