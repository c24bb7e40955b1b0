"""Training on files of the user's own, from nothing to translation and scores."""

import random
import re

import pytest

from minitfm.translate import own
from minitfm.translate.own import OwnCorpus, own_corpus, read_pairs, read_table
from tests.translate.test_cli import command, refused

WORDS = dict(
    zip(
        ["one", "two", "three", "four", "five", "six"],
        ["eins", "zwei", "drei", "vier", "fünf", "sechs"],
    )
)
QUICK = (
    "--steps",
    "4",
    "--cooldown",
    "0",
    "--checkpoint",
    "2",
    "--tokens",
    "400",
    "--warmup",
    "10",
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Numbers in English and in German, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    for half, count in (("train", 300), ("valid", 40)):
        rows = [draw.choices(list(WORDS), k=draw.randint(1, 5)) for _ in range(count)]
        source = [" ".join(row) for row in rows]
        target = [" ".join(WORDS[word] for word in row) for row in rows]
        (tmp_path / f"{half}.en").write_text("\n".join(source) + "\n", "utf-8-sig")
        (tmp_path / f"{half}.de").write_text("\r\n".join(target) + "\r\n", "utf-8")
        table = "".join(f"{a}\t{b}\n" for a, b in zip(source, target))
        (tmp_path / f"{half}.tsv").write_text(table, "utf-8")


def test_pairs_are_read_from_two_files_or_from_one(tmp_path):
    pairs = read_pairs(tmp_path / "train.en", tmp_path / "train.de")
    assert len(pairs) == 300
    assert pairs == read_table(tmp_path / "train.tsv")
    assert all(
        target == " ".join(WORDS[word] for word in source.split())
        for source, target in pairs
    )


def test_files_that_do_not_fit_are_refused_with_the_numbers(tmp_path):
    (tmp_path / "short.de").write_text("eins\n")
    with pytest.raises(
        ValueError, match=r"train.en has 300 lines and .*short.de has 1;"
    ):
        read_pairs(tmp_path / "train.en", tmp_path / "short.de")
    (tmp_path / "bad.tsv").write_text("a\tb\na b\n")
    with pytest.raises(ValueError, match=r"bad.tsv, line 2: 0 tabs, and one is needed"):
        read_table(tmp_path / "bad.tsv")
    (tmp_path / "latin.tsv").write_bytes(b"a\tb\nf\xfcnf\tc\n")
    with pytest.raises(ValueError, match=r"latin.tsv, line 2: byte 0xfc at place 2"):
        read_table(tmp_path / "latin.tsv")
    (tmp_path / "empty").write_text("")
    assert read_pairs(tmp_path / "empty", tmp_path / "empty") == []


def test_empty_sides_are_left_out_and_counted():
    said: list[str] = []
    found = own_corpus([("a", "b"), (" ", "b"), ("c", "")], [("d", "e")], said.append)
    assert found == OwnCorpus([("a", "b")], [("d", "e")])
    assert said == ["the training half: 2 pairs with an empty side left out"]
    with pytest.raises(ValueError, match="the validation half holds no pair"):
        own_corpus([("a", "b")], [("", "")])


def test_texts_are_in_one_form_of_unicode():
    (pair,) = own.cleaned([("u\u0308ber ", " e\u0301")], "x")
    assert pair == ("\u00fcber", "\u00e9")


@pytest.mark.parametrize("count", [40, 5000, 60_000])
def test_what_is_held_out_is_never_learned_from(count):
    said: list[str] = []
    pairs = [(str(number % (count // 2)), "x") for number in range(count)]
    found = own_corpus(pairs, None, said.append)
    assert not set(found.train) & set(found.valid)
    assert len(found.valid) <= own.MOST_HELD_OUT
    assert len(found.valid) >= count // own.HELD_OUT or len(found.valid) > 900
    assert re.match(rf"{len(found.valid):,} of {count:,} pairs held out", said[0])


def test_too_few_pairs_to_hold_some_out_are_refused():
    with pytest.raises(ValueError, match="of 1 in all, none can be held out"):
        own_corpus([("a", "b")], None)


def test_from_two_files_to_translations_and_scores(tmp_path):
    files = ("--source", "train.en", "--target", "train.de")
    valid = ("--valid-source", "valid.en", "--valid-target", "valid.de")
    code, out, errors = command("train", *files, *valid, *QUICK)
    assert code == 0, errors
    assert "own: 300 pairs" in out
    assert "4 steps done; the validation half, 40 sentences:" in out
    assert re.search(r"  BLEU \d.*\n  chrF \d", out)
    code, _, errors = command("translate", "runs/own", "two five")
    assert code == 0, errors
    code, out, errors = command(
        "evaluate", "runs/own", "--tsv", "valid.tsv", "--output", "mine.de"
    )
    assert code == 0, errors
    assert "your files, step 4" in out
    assert len((tmp_path / "mine.de").read_text("utf-8").splitlines()) == 40
    refused(2, "name others to score it by", "evaluate", "runs/own")
    # The same command goes on; with other pairs it is another training.
    code, out, errors = command("train", *files, *valid, *QUICK[2:], "--steps", "6")
    assert code == 0, errors
    assert "holds a training of 4 steps" in out
    refused(1, "of other batches", "train", "--tsv", "valid.tsv", "--valid-tsv",
            "train.tsv", *QUICK, "--folder", "runs/own")  # fmt: skip


def test_a_training_can_begin_with_the_weights_of_another(tmp_path):
    first = command("train", "--tsv", "train.tsv", *QUICK, "--folder", "a")
    assert first[0] == 0, first[2]
    assert "15 of 300 pairs held out" in first[1]
    words = ("train", "--tsv", "valid.tsv", "--valid-tsv", "train.tsv", *QUICK)
    code, out, errors = command(
        *words, "--folder", "b", "--from", "a", "--patience", "9"
    )
    assert code == 0, errors
    assert "beginning with the weights of a" in out
    same = [(tmp_path / run / "tokenizer.json").read_text() for run in ("a", "b")]
    assert same[0] == same[1]
    fresh = command(*words, "--folder", "c")
    assert fresh[0] == 0, fresh[2]
    losses = [
        float((tmp_path / run / "log.csv").read_text().splitlines()[1].split(",")[3])
        for run in ("a", "b", "c")
    ]
    assert losses[1] < min(losses[0], losses[2]) - 0.1


def test_wrong_usage_is_told():
    refused(2, "name a corpus, or files of yours", "train")
    refused(2, "name a corpus, or files", "train", "dates", "--tsv", "train.tsv")
    refused(2, "give --source and --target, or --tsv", "train", "--source", "train.en")
    refused(2, "brings its own validation half", "train", "dates", "--valid-tsv",
            "valid.tsv")  # fmt: skip
    refused(2, "give --valid-source and --valid-target", "train", "--tsv", "train.tsv",
            "--valid-source", "valid.en")  # fmt: skip
    refused(2, "does not exist", "train", "--tsv", "nowhere.tsv")
