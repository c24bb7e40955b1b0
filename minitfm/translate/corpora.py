"""Real corpora by name: fetched once from a pinned commit, checked, kept.

They are kept in the folder that the environment variable `MINITFM_DATA` names, or else
in the user's cache, each in a folder of its own name: `multi30k/train.en.gz`. What is
there already is not fetched.
"""

import functools
import gzip
import hashlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from minitfm.study.extras import brought_by


@dataclass(frozen=True)
class Corpus:
    """Where a corpus comes from, and how to know that it is the right one.

    Attributes:
        name: of the corpus, and of the folder that holds its files.
        languages: in the order of each split's files.
        address: what all files' addresses begin with, the commit included.
        splits: the files of each split, one a language, with their SHA-256.
        notice: what the corpus's own README says about license and citation.
    """

    name: str
    languages: tuple[str, ...]
    address: str
    splits: Mapping[str, Mapping[str, str]]
    notice: str


CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            name="small_parallel_enja",
            languages=("en", "ja"),
            address="https://raw.githubusercontent.com/odashi/small_parallel_enja/312408a11c5fbcbc09443bebb18121f7efdcd61e/",
            splits={
                "train": {
                    "train.en": (
                        "148b05dcd28638fe20ee84f2b1127001c80982be352007dda241fb759adadc76"
                    ),
                    "train.ja": (
                        "fc81a1434349ec98a449d7ae9cd2530057f689637684ecfed3501ea6a8a07ecc"
                    ),
                },
                "valid": {
                    "dev.en": (
                        "04a2673449770657fd5e3b963cb856be3130923212b6db8ac7eaeef18f06c041"
                    ),
                    "dev.ja": (
                        "cd534f56b8639dc130f86a365e5ec0aa70042000bdd740a622fbbf8b6be4acca"
                    ),
                },
                "test": {
                    "test.en": (
                        "45edb380749ec2b49cca7618fc5a7595fc9f791180672ba466b90c873a4aa8bf"
                    ),
                    "test.ja": (
                        "d37dc460a81b064e4106c8913eb11fa300da05cf3f58a7a5bbfec7e20947ddef"
                    ),
                },
            },
            notice=(
                "small_parallel_enja (https://github.com/odashi/small_parallel_enja):"
                " according to its README, extracted from the TANAKA Corpus"
                " (http://www.edrdg.org/wiki/index.php/Tanaka_Corpus). The README names"
                " no license and asks for no citation."
            ),
        ),
        Corpus(
            name="multi30k",
            languages=("en", "de"),
            address="https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/",
            splits={
                "train": {
                    "train.en.gz": (
                        "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"
                    ),
                    "train.de.gz": (
                        "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"
                    ),
                },
                "valid": {
                    "val.en.gz": (
                        "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"
                    ),
                    "val.de.gz": (
                        "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"
                    ),
                },
                "test": {
                    "test_2016_flickr.en.gz": (
                        "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"
                    ),
                    "test_2016_flickr.de.gz": (
                        "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"
                    ),
                },
            },
            notice=(
                "multi30k (https://github.com/multi30k/dataset): its README asks you to"
                " consider citing, for the English and German data, Elliott, Frank,"
                " Sima'an and Specia 2016, doi:10.18653/v1/W16-3210. It names no"
                " license of the texts. Of the images, which are not fetched here, it"
                " says that their use must abide by the Flickr Terms of Use and that"
                " they 'are solely provided for researchers and educators who wish to"
                " use the dataset for non-commercial research and/or educational"
                " purposes'."
            ),
        ),
        Corpus(
            name="tinyshakespeare",
            languages=("en",),
            address="https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/",
            splits={
                "train": {
                    "input.txt": (
                        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
                    )
                }
            },
            notice=(
                "tinyshakespeare (https://github.com/karpathy/char-rnn): according to"
                " the README, a subset of works of Shakespeare. The README gives MIT as"
                " the repository's license and asks for no citation."
            ),
        ),
    )
}


def corpus(name: str, split: str) -> list[tuple[str, str]]:
    """Read the sentence pairs of a corpus as they are in its files: (English, Japanese)
    or (English, German).

    Args:
        name: `small_parallel_enja` (the words of both languages are separated by
            spaces, English is in lower case) or `multi30k`.
        split: `train`, `valid` or `test`.

    Raises:
        ValueError: if there is no such corpus or split, or a file at hand is not the
            one it should be.
        FileNotFoundError: if a file is neither at hand nor to be had.
    """
    if name not in CORPORA or len(CORPORA[name].languages) != 2:
        pairs = [
            known for known, corpus in CORPORA.items() if len(corpus.languages) == 2
        ]
        raise ValueError(
            f"{name!r} is no corpus of sentence pairs; there are {', '.join(pairs)}"
        )
    splits = CORPORA[name].splits
    if split not in splits:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(splits)}")
    first, second = (
        text.removesuffix("\n").split("\n") for text in _texts(CORPORA[name], split)
    )
    return list(zip(first, second, strict=True))


def shakespeare() -> str:
    """Read Tiny Shakespeare, one text of a million characters; errors as in
    `corpus`.
    """
    return _texts(CORPORA["tinyshakespeare"], "train")[0]


def detokenize(text: str) -> str:
    """Write a line of `small_parallel_enja` as people do: i 'm late . becomes i'm
    late., and 私 は becomes 私は.
    """
    japanese = (
        "[\u3000-\u30ff\u3400-\u9fff！-／０-＠［-｀｛-･]"  # without full-width letters
    )
    return re.sub(rf" (?=[.,?!;:]|'\w)|(?<={japanese}) | (?={japanese})", "", text)


def tokenize_english(text: str) -> str:
    """Write an English line as `small_parallel_enja` does, nearly: lower case,
    punctuation and 'm, 's, 't apart, whichever apostrophe was typed.
    """
    text = text.lower().replace("’", "'")
    return re.sub(r"(?<=\S)(?='\w|[.,?!;:]+(?:\s|$))", " ", text)


def data_folder() -> Path:
    """The folder that holds a folder for each corpus: `MINITFM_DATA` if set, else the
    user's cache.
    """
    if folder := os.environ.get("MINITFM_DATA"):
        return Path(folder).expanduser().absolute()
    return Path(_pooch().os_cache("minitfm"))


def _texts(corpus: Corpus, split: str) -> list[str]:
    texts = []
    for file, sha256 in corpus.splits[split].items():
        path = data_folder() / corpus.name / file
        if not path.exists():
            _fetch(corpus, path, sha256)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(
                f"{path} is not the file it should be (its SHA-256 differs); delete it"
                " to fetch it anew"
            )
        texts.append(
            (gzip.decompress(content) if path.suffix == ".gz" else content).decode(
                "utf-8"
            )
        )
    _show_notice(data_folder() / corpus.name, corpus.notice)
    return texts


def _fetch(corpus: Corpus, path: Path, sha256: str) -> None:
    """Download a file and check it. A part of a file, or a wrong one, is never left
    behind, even if two processes download it at once.
    """
    pooch = _pooch()
    import requests  # pooch brings it

    address = corpus.address + path.name
    pooch.get_logger().setLevel("WARNING")  # our error says it all
    try:
        pooch.retrieve(address, f"sha256:{sha256}", path.name, path.parent)
        return
    except requests.HTTPError as error:
        reason = f"the server answered {str(error).partition(' for url')[0]}"
    except requests.ConnectionError:
        reason = "there is no connection"
    except requests.RequestException:
        reason = "the transfer broke off"
    except ValueError:
        reason = "what came has another SHA-256"
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}"
    raise FileNotFoundError(
        f"{path.name} of {corpus.name} is missing and could not be fetched, {reason}: "
        f"get it from {address} and put it into {path.parent}"
    )


@functools.cache
def _show_notice(folder: Path, notice: str) -> None:
    """Show a notice when a corpus is first loaded, and write it beside the files. If it
    cannot be written there, it is shown once in every process.
    """
    try:
        with (folder / "NOTICE.txt").open("x", encoding="utf-8") as file:
            file.write(notice + "\n")
    except FileExistsError:
        return
    except OSError:
        pass
    print(notice, file=sys.stderr)


def _pooch():
    with brought_by("notebook"):
        import pooch
    return pooch
