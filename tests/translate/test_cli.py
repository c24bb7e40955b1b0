"""The command line and what it stands on: lines in, lines out, errors in a sentence."""

import csv
import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import sacrebleu
import torch
from typer.testing import CliRunner

from minitfm import __version__, decoding, fast
from minitfm.attentive import AttentiveSeq2Seq, RecurrentConfig
from minitfm.decoding import averaged
from minitfm.seq2seq import Seq2Seq
from minitfm.study import tasks
from minitfm.transformer import TransformerConfig
from minitfm.translate import cli, corpora, presets, runs
from minitfm.translate.checkpoints import MODEL, checkpoints, read, write
from minitfm.translate.evaluation import evaluate, nats_a_token, scores
from minitfm.translate.presets import (
    PRESETS,
    Preset,
    characters,
    learned_tokenizer,
    letters_and_phonemes,
    pairs,
)
from minitfm.translate.recipe import Recipe
from minitfm.translate.runs import train_on
from minitfm.translate.translation import (
    CONFIGS,
    description,
    hypotheses,
    load,
    read_as,
    translate,
    write_as,
)
from minitfm.web.train import FILE as LIVE
from minitfm.web.weights import unpack

ROOT = Path(__file__).parents[2]
LINES = [
    "4 March 2025",
    "",
    "Sunday, 1 May 1999",
    "  ",
    "4 March 2025",
    "Day ☃",
    "17 Oct 2031",
]
SMALL = Preset(
    TransformerConfig(0, d_model=16, d_ff=32, heads=2, layers=1, dropout=0.1),
    None,
    tokens=512,
    recipe=Recipe(steps=6, warmup=20, checkpoint=2, keep=3, precision="float32"),
)


PAPERS_LIMIT = decoding.longest_lengths


def short(source: torch.Tensor, pad: int = 0) -> torch.Tensor:
    """Limits for models that have not learned to end."""
    return (source != pad).sum(1) + 3


@pytest.fixture(autouse=True)
def _few_dates(monkeypatch, tmp_path):
    """Enough dates to learn from six times, in a folder of their own."""
    dates = tasks.dates
    monkeypatch.setattr(
        tasks,
        "dates",
        lambda count, seed, held_out=False: dates(count // 50, seed, held_out),
    )
    monkeypatch.setitem(PRESETS["dates"], "tiny", SMALL)
    monkeypatch.setattr(decoding, "longest_lengths", short)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A training of six steps, which writes nonsense."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        dates = tasks.dates
        patch.setattr(
            tasks,
            "dates",
            lambda count, seed, held_out=False: dates(count // 50, seed, held_out),
        )
        patch.setattr(decoding, "longest_lengths", short)
        torch.manual_seed(0)
        train_on("dates", SMALL, folder, progress=False, say=lambda line: None)
    return folder


def command(*words, given: str | None = None) -> tuple[int, str, str]:
    """What a run of the command line left: exit code, output, errors."""
    out, errors, code = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", errors)
        patch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO((given or "").encode()), "utf-8")
        )
        try:
            cli.main([str(word) for word in words])
        except SystemExit as end:
            code = end.code or 0
    out.flush()
    return code, out.buffer.getvalue().decode(), errors.getvalue()


def refused(code: int, message: str, *words) -> None:
    """The command ends with this code and a message, and no traceback."""
    found, _, errors = command(*words)
    assert found == code, errors
    assert re.search(message, " ".join(errors.replace("│", " ").split())), errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("name", ["train", "translate", "evaluate", "export", "data"])
def test_every_command_explains_itself_with_an_example(name):
    result = CliRunner().invoke(cli.app, [name, "--help"])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert f"minitfm {name} " in text.partition("Example")[2]


def test_the_command_is_installed_under_its_name():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"minitfm": "minitfm.translate.cli:main"}


def test_help_comes_without_loading_pytorch():
    code = "import sys, minitfm.translate.cli; print(sorted({'torch', 'numpy', 'tokenizers', 'sacrebleu'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert run.stdout == "[]\n"


def test_no_option_of_training_is_one_of_torchruns():
    """torchrun reads every option that begins one of its own, even after the name of the module."""
    from torch.distributed.run import get_args_parser

    theirs = set(get_args_parser()._option_string_actions)
    result = CliRunner().invoke(cli.app, ["train", "--help"])
    ours = set(re.findall(r"--[a-z-]+", result.output)) - {"--help", "--nproc-per-node"}
    assert len(ours) > 10
    assert not {
        (one, other) for one in ours for other in theirs if other.startswith(one)
    }


def test_wrong_usage_ends_with_code_2_and_says_what_there_is():
    refused(
        2,
        "'esperanto' is none of dates, cmudict, small_parallel_enja, multi30k",
        "train",
        "esperanto",
    )
    refused(2, "'esperanto' is none of dates", "data", "esperanto")
    refused(2, "'huge' is none of tiny", "train", "dates", "--preset", "huge")
    refused(2, "Invalid value for '--steps'", "train", "dates", "--steps", "0")
    refused(2, "name a corpus, or files of yours", "train")
    refused(2, "Missing argument", "data")
    refused(
        2,
        "a beam of 4 holds no 5 translations; add --beam 5",
        "translate",
        ".",
        "--n-best",
        "5",
        "a",
    )
    refused(2, "does not exist", "translate", ".", "--file", "nowhere.txt")


def test_failures_end_with_code_1_and_a_sentence(tmp_path, trained):
    refused(
        1,
        r"minitfm: there is no nowhere; name a folder that minitfm train wrote",
        "translate",
        "nowhere",
        "a",
    )
    refused(1, "holds 0 checkpoints, and 1 would be needed", "translate", tmp_path, "a")
    refused(
        1,
        "holds 3 checkpoints, and 9 would be needed",
        "translate",
        trained,
        "--average",
        "9",
        "a",
    )
    file = next(trained.glob(f"*/{MODEL}"))
    refused(
        1,
        "is one checkpoint; to average 2, name the folder",
        "translate",
        file,
        "--average",
        "2",
        "a",
    )
    (tmp_path / MODEL).write_bytes(b"\x80\x04weights")
    refused(1, "is no whole safetensors file", "translate", tmp_path, "a")


def test_a_corpus_that_cannot_be_had_is_a_sentence(tmp_path, monkeypatch):
    elsewhere = dataclasses.replace(
        corpora.CORPORA["multi30k"], address="http://127.0.0.1:9/"
    )
    monkeypatch.setitem(corpora.CORPORA, "multi30k", elsewhere)
    monkeypatch.setenv("MINITFM_DATA", str(tmp_path / "data"))
    refused(
        1,
        "minitfm: train.en.gz of multi30k is missing and could not be fetched",
        "train",
        "multi30k",
    )


def test_a_diverging_training_is_a_sentence():
    refused(1, r"minitfm: .*try half of it, twice the warm-up, or precision float32",
            "train", "dates", "--rate", "1e9", "--warmup", "1", "--steps", "400")  # fmt: skip


def test_a_training_goes_on_and_refuses_to_become_another(tmp_path):
    code, out, errors = command("train", "dates", "--steps", "4")
    assert code == 0, errors
    assert "going on" not in out
    assert re.search(
        r"4 steps done; the validation half, \d+ sentences:\n  right \d", out
    )
    asked = re.search(r"To translate: minitfm translate runs/dates '(.+)'\n", out)[1]
    assert asked == pairs("dates", "valid")[0][0]
    code, out, errors = command(
        "train", "dates", "--steps", "6", "--precision", "float32"
    )
    assert code == 0, errors
    assert "runs/dates holds a training of 4 steps: going on with it" in out
    assert [path.name[-1] for path in checkpoints(tmp_path / "runs" / "dates")] == [
        "2",
        "4",
        "6",
    ]
    refused(
        1, "another training: seed is 1, was 0 there", "train", "dates", "--seed", "1"
    )
    refused(1, "rate is 0.5, was 1.0 there", "train", "dates", "--rate", "0.5")
    refused(
        1,
        "corpus is 'cmudict', was 'dates' there",
        "train",
        "cmudict",
        "--folder",
        "runs/dates",
    )
    file = tmp_path / "runs" / "dates" / "tokenizer.json"
    file.write_text(file.read_text().replace("2", "x"))
    refused(
        1,
        "is not the tokenizer of the checkpoints beside it",
        "train",
        "dates",
        "--steps",
        "8",
    )


@pytest.mark.parametrize(
    ("attention", "kind"), [(None, Seq2Seq), ("dot", AttentiveSeq2Seq)]
)
def test_recurrent_models_are_trained_and_loaded_as_transformers_are(
    tmp_path, monkeypatch, attention, kind
):
    preset = dataclasses.replace(
        SMALL, model=RecurrentConfig(0, 8, attention=attention)
    )
    train_on("dates", preset, tmp_path, progress=False, say=lambda line: None)
    model, tokenizer = load(tmp_path)
    assert type(model) is kind
    assert len(translate(model, tokenizer, ["4 March 2025", "x"])) == 2
    refused(1, "--attention shows Transformers", "translate", tmp_path, "--attention",
            tmp_path / "seen.html", "4 March 2025")  # fmt: skip
    with pytest.raises(
        ValueError, match="model is 'TransformerConfig', was 'RecurrentConfig' there"
    ):
        train_on("dates", SMALL, tmp_path, progress=False, say=lambda line: None)
    monkeypatch.delitem(CONFIGS, "RecurrentConfig")
    with pytest.raises(
        ValueError,
        match="holds a model of kind 'RecurrentConfig'; known are TransformerConfig",
    ):
        load(tmp_path)


def test_the_tokenizer_learns_from_the_training_half_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(
        presets, "pairs", lambda corpus, split: asked.append(split) or [("ab", "本")]
    )
    assert len(learned_tokenizer("dates", None)) == 3 + 4
    assert len(learned_tokenizer("dates", 300)) <= 300
    assert set(asked) == {"train"}


def test_the_halves_share_no_pair():
    for corpus in ("dates", "cmudict"):
        halves = [set(pairs(corpus, split)) for split in ("train", "valid", "test")]
        assert all(halves)
        assert sum(map(len, halves)) == len(set.union(*halves))
    assert ("read", "R EH1 D") in pairs("cmudict", "train") + pairs(
        "cmudict", "valid"
    ) + pairs("cmudict", "test")
    with pytest.raises(ValueError, match="no split 'dev'; it has train, valid, test"):
        pairs("dates", "dev")
    with pytest.raises(
        ValueError, match="no corpus of sentence pairs; there are dates"
    ):
        pairs("tinyshakespeare", "train")


def test_characters_are_tokens_and_come_back():
    tokenizer = characters(["2025年 3月", "a"])
    (ids,) = tokenizer.encode(["2025年 3月"])
    assert len(ids) == 8
    assert tokenizer.decode([ids]) == ["2025年 3月"]
    assert tokenizer.decode(tokenizer.encode(["a☃\n2"])) == ["a��2"]
    again = type(tokenizer).from_json(tokenizer.to_json())
    assert again.encode(["5年"]) == tokenizer.encode(["5年"])


def test_one_line_comes_out_for_each_line_in(trained, tmp_path):
    code, out, errors = command("translate", trained, given="\n".join(LINES))
    assert code == 0, errors
    assert out.count("\n") == len(LINES)
    written = out.split("\n")[:-1]
    assert written[1] == written[3] == ""
    assert written[0] == written[4]
    assert all(written[place] for place in (0, 2, 4, 5, 6))
    (tmp_path / "lines").write_bytes("\r\n".join([*LINES, ""]).encode())
    assert command("translate", trained, "--file", tmp_path / "lines")[1] == out
    assert command("translate", trained, *LINES)[1] == out
    assert command("translate", trained, given="")[:2] == (0, "")
    assert command("translate", trained, given="\n")[:2] == (0, "\n")
    last = checkpoints(trained)[-1]
    assert (
        command("translate", last, *LINES)[1]
        == command("translate", last / MODEL, *LINES)[1]
        == out
    )


def test_a_byte_order_mark_is_no_part_of_the_first_line(trained, tmp_path):
    (tmp_path / "lines").write_text("4 March 2025\n", "utf-8-sig")
    found = command("translate", trained, "--file", tmp_path / "lines")
    assert found == command("translate", trained, "4 March 2025")
    marked = command("translate", trained, given="\ufeff4 March 2025\n")
    assert marked == found


def test_a_bad_byte_is_named_after_the_lines_before_it(trained, tmp_path):
    (tmp_path / "lines").write_bytes(b"4 March 2025\n1 May 1999\nM\xe4rz\n2 May 1999\n")
    code, out, errors = command("translate", trained, "--file", tmp_path / "lines")
    assert code == 1
    assert out == command("translate", trained, "4 March 2025", "1 May 1999")[1]
    assert re.search(r"lines, line 3: byte 0xe4 at place 2 is not UTF-8", errors)


def test_many_lines_are_numbered_through_and_written_in_their_order(
    trained, monkeypatch
):
    """In parts, which change nothing: here some twenty bytes are read at a time."""
    lines = [*LINES, *LINES[::-1]] * 3
    words = ("translate", trained, "--n-best", "2")
    whole = command(*words, given="\n".join(lines))
    monkeypatch.setattr(cli, "CHUNK", 20)
    assert command(*words, given="\n".join(lines)) == whole
    numbers = [int(line.split("\t")[0]) for line in whole[1].splitlines()]
    assert sorted(set(numbers)) == list(range(1, len(lines) + 1))


def test_a_pipe_gets_each_line_as_soon_as_it_is_translated(trained):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "minitfm", "translate", str(trained), "--beam", "1"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as running:
        for _ in range(2):  # the second line is sent when the first has been answered
            running.stdin.write(b"4 March 2025\n")
            running.stdin.flush()
            assert running.stdout.readline().endswith(b"\n")
        running.stdin.close()
        assert running.wait(120) == 0


def test_draws_are_the_seeds_and_have_their_range(trained):
    words = ("translate", trained, "--sample", "4 March 2025", "", "1 May 1999")
    found = command(*words)
    assert found[0] == 0, found[2]
    assert found[1].split("\n")[1] == ""
    assert command(*words) == found
    others = {command(*words, "--seed", str(seed))[1] for seed in range(1, 6)}
    assert len(others | {found[1]}) > 1
    searched = command("translate", trained, "--beam", "1", *words[3:])
    assert command(*words, "--temperature", "1e-6") == searched
    assert command(*words, "--top-k", "1") == searched
    refused(2, "--n-best", *words, "--n-best", "2")
    refused(2, "are of --sample", "translate", trained, "--top-p", "0.5", "a")
    refused(1, "temperature=0.0; choose a positive one", *words, "--temperature", "0")
    refused(1, "top_p=1.5; choose more than 0", *words, "--top-p", "1.5")


def test_the_page_of_attention_holds_every_head_and_asks_for_nothing(trained, tmp_path):
    page = tmp_path / "seen.html"
    words = (
        "translate",
        trained,
        "--attention",
        page,
        "4 March 2025",
        "",
        "1 May 1999",
    )
    code, out, errors = command(*words)
    assert (code, out) == (0, command("translate", trained, *words[4:])[1])
    assert "seen.html shows who attended to whom" in errors
    html = page.read_text("utf-8")
    views = [
        json.loads(data)["views"]
        for data in re.findall(
            r'<script type="application/json">(\{.*?)</script>', html
        )
    ]
    assert [len(one) for one in views] == [3, 3]
    encoder, _, cross = views[0]
    assert "".join(encoder["queries"]).strip() == "4 March 2025"
    assert len(encoder["weights"]) == SMALL.model.layers
    assert len(encoder["weights"][0]) == SMALL.model.heads
    model, tokenizer = load(trained)
    (source,) = tokenizer.encode(["4 March 2025"])
    (target,) = tokenizer.encode([out.split("\n")[0]])
    exact = model.attention(torch.tensor([source]), torch.tensor([[1, *target]]))
    shown = torch.tensor(cross["weights"][0])
    torch.testing.assert_close(
        shown, exact["decoder.layers.0.cross_attention"][0], rtol=0, atol=6e-4
    )
    assert not re.search(r'(src|href)="http', html)


def test_the_version_is_told():
    assert command("--version")[:2] == (0, f"minitfm {__version__}\n")


def test_a_missing_extra_is_named_wherever_it_is_met(monkeypatch):
    monkeypatch.setitem(sys.modules, "minitfm.translate.presets", None)
    refused(1, r"pip install 'minitfm\[text\]' brings it", "data", "dates")


def test_numbers_out_of_range_are_a_sentence(trained):
    refused(2, "--alpha", "translate", trained, "--alpha", "1000000", "a")
    refused(2, "--threads", "translate", trained, "--threads", "100000", "a")
    refused(2, "--seed", "train", "dates", "--seed", str(2**64))
    refused(1, "rate=0.0; choose more than 0", "train", "dates", "--rate", "0")


def test_a_folder_that_is_not_a_trainings_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "log.csv").write_text("a,b\n")
    refused(1, "mine holds log.csv and no", "train", "dates", "--folder", "mine")
    assert (tmp_path / "mine" / "log.csv").read_text() == "a,b\n"
    refused(2, "it is empty; name a folder", "train", "dates", "--folder", "")


def test_a_line_ends_at_a_line_break_only(trained):
    """Not at U+2028 or U+0085, where str.splitlines would end it."""
    _, out, _ = command(
        "translate", trained, given="4 March\u2028 2025\x85\x0c\n1 May 1999\n"
    )
    assert len(out.split("\n")) == 3


def test_the_n_best_come_with_number_and_score(trained):
    code, out, errors = command(
        "translate", trained, "--n-best", "3", "4 March 2025", "1 May 1999"
    )
    assert code == 0, errors
    rows = [line.split("\t") for line in out.splitlines()]
    assert [number for number, _, _ in rows] == ["1"] * 3 + ["2"] * 3
    best = [float(score) for _, score, _ in rows]
    assert best[:3] == sorted(best[:3], reverse=True)
    assert rows[0][2] == command("translate", trained, "4 March 2025")[1].rstrip("\n")


def test_translate_is_hypotheses_best_and_no_batch_changes_it(trained):
    model, tokenizer = load(trained)
    assert not model.training
    texts = [source for source, _ in pairs("dates", "valid")][:12]
    together = translate(model, tokenizer, texts, beam=3)
    assert together == [
        translate(model, tokenizer, [text], beam=3)[0] for text in texts
    ]
    assert together == [
        pool[0][0]
        for pool in hypotheses(model, tokenizer, texts, beam=3, best=3, tokens=40)
    ]


def test_the_average_is_of_the_last_checkpoints(trained):
    model, _ = load(trained, average=2)
    states = [read(path / MODEL)[0] for path in checkpoints(trained)[-2:]]
    for name, tensor in averaged(states).items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert description(trained)["step"] == 6


def test_the_live_pages_model_translates_dates_it_has_never_seen(monkeypatch):
    """The file of the website and the checkpoints of a training have one format."""
    monkeypatch.setattr(decoding, "longest_lengths", PAPERS_LIMIT)
    code, out, errors = command(
        "translate", LIVE, "4 March 2025", "Monday, May 5, 2008"
    )
    assert (code, out.splitlines()) == (0, ["2025年3月4日", "2008年5月5日月曜日"]), (
        errors
    )
    model, tokenizer = load(LIVE)
    theirs, vocabulary = unpack(LIVE.read_bytes())
    assert model.config == theirs.config
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    pairs_held_out = tasks.dates(50 * 200, 9, held_out=True)
    texts = [source for source, _ in pairs_held_out]
    assert tokenizer.encode(texts[:1]) == vocabulary.encode(texts[:1]).tolist()
    written = translate(model, tokenizer, texts)
    right = sum(
        text == japanese for text, (_, japanese) in zip(written, pairs_held_out)
    )
    assert right >= 0.97 * len(texts)
    assert description(LIVE)["step"] == 10_000


def test_a_character_that_the_live_pages_model_lacks_is_a_sentence():
    refused(
        1,
        r"this vocabulary lacks a character of \['4 März'\]",
        "translate",
        LIVE,
        "4 März",
    )


def test_files_whose_tensors_are_not_the_models_are_refused(trained, tmp_path):
    tensors, metadata = read(checkpoints(trained)[-1] / MODEL)
    del tensors["encoder.layers.0.feed_forward.inner.bias"]
    write(tmp_path / "lacking.safetensors", tensors, metadata)
    refused(
        1,
        "weights do not fit its config",
        "translate",
        tmp_path / "lacking.safetensors",
        "x",
    )


def test_a_checkpoint_of_version_0_2_which_names_the_padding_is_read(trained, tmp_path):
    tensors, metadata = read(checkpoints(trained)[-1] / MODEL)
    old = metadata | {"config": metadata["config"] | {"pad": 0}}
    write(tmp_path / "old.safetensors", tensors, old)
    texts = ["4 March 2025"]
    assert translate(*load(tmp_path / "old.safetensors"), texts) == translate(
        *load(trained), texts
    )


def test_what_is_trained_and_loaded_is_accelerated(trained, monkeypatch, tmp_path):
    model, _ = load(trained)
    assert type(model.encoder.layers[0].self_attention) is fast.MultiHeadAttention
    seen = []
    monkeypatch.setattr(
        runs, "train", lambda model, *_, **__: seen.append(model.eval()) or 1
    )
    train_on("dates", SMALL, tmp_path, progress=False, say=lambda line: None)
    assert type(seen[0].encoder.layers[0].self_attention) is fast.MultiHeadAttention


def test_japanese_is_written_for_people_and_read_from_them():
    assert read_as("small_parallel_enja", "I'm late. ") == "i 'm late ."
    assert read_as("small_parallel_enja", "i 'm late .") == "i 'm late ."
    assert write_as("small_parallel_enja", "私 は 学生 です 。") == "私は学生です。"
    assert read_as("multi30k", " A man. ") == "A man."
    assert write_as("multi30k", "Ein Mann .") == "Ein Mann ."


def test_evaluation_tells_scores_and_speed(trained):
    code, out, errors = command("evaluate", trained, "--beam", "2", "--split", "valid")
    assert code == 0, errors
    assert re.fullmatch(
        r"dates, valid, step 6, beam 2, alpha 0\.6\n\d+ sentences in \d+\.\d seconds, \d+\.\d a second\n"
        r"right \d+\.\d\d  % of the lines, every character\n", out)  # fmt: skip
    model, tokenizer = load(trained)
    wanted = pairs("dates", "valid")
    found = evaluate(model, tokenizer, "dates", "valid")
    assert found.written == translate(
        model, tokenizer, [source for source, _ in wanted]
    )


def test_bleu_is_sacrebleus_with_its_signature():
    written = ["the cat sat on the mat .", "a dog runs in the big park"] * 5
    wanted = [("", "the cat sat on a mat ."), ("", "a dog runs in the park")] * 5
    score, by_characters = scores("multi30k", written, wanted)
    references = [target for _, target in wanted]
    assert score.value == pytest.approx(
        sacrebleu.corpus_bleu(written, [references]).score
    )
    assert "|tok:13a|" in score.note
    assert "|case:mixed|" in score.note
    low, high = map(
        float, re.search(r"95 % from ([\d.]+) to ([\d.]+) ", score.note).groups()
    )
    assert low < score.value < high
    assert by_characters.name == "chrF"
    assert by_characters.value == pytest.approx(
        sacrebleu.corpus_chrf(written, [references]).score
    )
    words, letters, _ = scores(
        "small_parallel_enja",
        ["私 は 行く", "彼 は 来る"],
        [("", "私 は 行く"), ("", "彼 が 来る")],
    )
    assert "|tok:none|" in words.note
    assert "|tok:char|" in letters.note


def test_lines_and_pronunciations_are_scored_as_people_do(monkeypatch):
    (right,) = scores("dates", ["2025年3月4日", "x"], [("", "2025年3月4日"), ("", "y")])
    assert right.value == 50
    word, listed = next(
        (w, p) for w, p in tasks.pronunciations(held_out=True).items() if len(p) > 1
    )
    plain = scores("cmudict", [" ".join(listed[1])], [(word, " ".join(listed[0]))])[:2]
    assert [score.value for score in plain] == [0, 0]
    wanted = [("about", "AH0 B AW1 T"), ("read", "R EH1 D")]
    marked = {
        "about": [("AH0", "B", "AW1", "T")],
        "read": [("R", "EH1", "D"), ("R", "IY1", "D")],
    }
    bare = {
        word: [tuple(re.sub("[012]", "", p) for p in one) for one in listed]
        for word, listed in marked.items()
    }
    monkeypatch.setattr(
        tasks, "pronunciations", lambda held_out, stress: marked if stress else bare
    )
    found = scores("cmudict", ["AH1 B AW1 T", "R IY1 D"], wanted)
    assert [(score.value, score.note) for score in found] == [
        (0, "%, without stress"),
        (0, "%, without stress"),
        (50, "%, with stress"),
        (pytest.approx(100 / 7), "%, with stress"),
    ]


def test_a_letter_and_a_phoneme_are_a_token_each():
    tokenizer = letters_and_phonemes(["read", "o'clock", "R EH1 D", "AH0 K L AA1 K"])
    assert [len(row) for row in tokenizer.encode(["read", "o'clock", "R EH1 D"])] == [
        4,
        7,
        3,
    ]
    assert tokenizer.decode(tokenizer.encode(["R EH1 D", "AH0 K"])) == [
        "R EH1 D",
        "AH0 K",
    ]
    assert tokenizer.decode(tokenizer.encode(["x", "ZH"])) == ["\ufffd", "\ufffd"]


def test_nats_a_token_is_the_mean_surprise(trained):
    model, _ = load(trained)
    source = torch.tensor([[3, 4, 5], [6, 7, 0]])
    target = torch.tensor([[1, 5, 4, 3, 2], [1, 7, 2, 0, 0]])
    logs = (
        model(source, target[:, :-1])
        .log_softmax(-1)
        .gather(2, target[:, 1:].unsqueeze(2))
        .squeeze(2)
    )
    expected = -logs[target[:, 1:] != 0].mean().item()
    assert nats_a_token(
        model, [(source[:1], target[:1]), (source[1:], target[1:])]
    ) == pytest.approx(expected)


def test_a_training_is_exported_and_what_has_no_like_is_a_sentence(trained, tmp_path):
    pytest.importorskip("transformers")
    code, out, errors = command("export", trained, tmp_path / "hf")
    assert code == 0, errors
    assert "hf holds a MarianMTModel and its tokenizer" in out
    assert (tmp_path / "hf" / "tokenizer.json").is_file()
    refused(1, "holds something already", "export", trained, tmp_path / "hf")


def test_data_shows_where_a_corpus_comes_from():
    code, out, _ = command("data", "dates", "--lines", "2")
    assert code == 0
    notice, *sizes, first, second = out.splitlines()
    assert "CLDR" in notice
    assert [re.match(r"(\w+): \d+ pairs, [\d,]+ and [\d,]+ characters", line)[1] for line in sizes] == [
        "train", "valid", "test",
    ]  # fmt: skip
    assert [tuple(line.split("\t")) for line in (first, second)] == pairs(
        "dates", "train"
    )[:2]


def test_the_real_command_translates_standard_input(trained, monkeypatch):
    """Also where the system's encoding is another, and when nobody reads to the end."""
    monkeypatch.setattr(decoding, "longest_lengths", PAPERS_LIMIT)  # as it has
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "ascii",
    }
    words = [sys.executable, "-m", "minitfm", "translate", str(trained), "--beam", "1"]
    run = subprocess.run(
        words,
        input="\n".join(LINES).encode(),
        capture_output=True,
        env=environment,
        check=True,
    )
    assert (
        run.stdout.decode() == command("translate", trained, "--beam", "1", *LINES)[1]
    )
    assert run.stderr == b""


@pytest.mark.slow
def test_torchrun_trains_in_two_processes_as_in_one(tmp_path):
    """The same global batch, no dropout; at the paper's small first rates, for rounding grows with the steps."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    options = {
        "--steps": 50,
        "--dropout": 0,
        "--warmup": 4000,
        "--tokens": 512,
        "--log-every": 1,
        "--checkpoint": 50,
    }
    given = [
        "--precision",
        "float32",
        *(str(word) for option in options.items() for word in option),
    ]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    said, losses = [], []
    for name, before in (("two", launch), ("one", [])):
        words = [
            sys.executable,
            *before,
            "-m",
            "minitfm",
            "train",
            "dates",
            "--folder",
            name,
            *given,
        ]
        run = subprocess.run(
            words, capture_output=True, text=True, env=environment, timeout=300
        )
        assert run.returncode == 0, run.stderr[-3000:]
        said.append(run.stdout.splitlines())
        with (tmp_path / name / "log.csv").open() as file:
            losses.append(
                [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
            )
    assert [line.split()[0] for line in said[0]] == [
        line.split()[0] for line in said[1]
    ], "only one process speaks"
    assert len(losses[0]) == len(losses[1]) == 50
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert json.loads((tmp_path / "one" / "tokenizer.json").read_text())
