"""The live pages' HTML and JavaScript, without a kernel: what the widgets and the site
have in common.
"""

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parent / "static"
ELEMENTS = {
    "minitfm-attention": "attention-view.js",
    "minitfm-live": "live.js",
    "minitfm-frames": "frames.js",
    "minitfm-lookup": "lookup.js",
}
DATE_MODEL = "dates.safetensors"
DATE_PROMPT = "A date in English"
DATE_EXAMPLES = (
    "Tuesday, 4 March 2025",
    "march 4th, 2025",
    "3/4/2025",
    "25.12.1999",
    "14-Jul-1789",
    "31 April 2025",
)
WITHOUT = (
    "This view comes alive with JavaScript, on the course's website or in a running"
    " notebook."
)


def bundle(name: str) -> str:
    """One of the modules in `static` with those that it imports inside, as a widget's
    front end has to be.

    Our modules import each other only in the form `import("./other.js")`, when they
    need each other. A notebook has no such address, so the text of the other module
    takes its place.
    """

    def inside(match: re.Match[str]) -> str:
        return (
            f"import(URL.createObjectURL(new Blob([{json.dumps(bundle(match[1]))}], {{"
            ' type: "text/javascript" })))'
        )

    return re.sub(
        r'\bimport\("\./([\w-]+\.js)"\)',
        inside,
        (STATIC / name).read_text(encoding="utf-8"),
    )


def script(data: dict[str, Any]) -> str:
    """Data for an element to read, as an element inside it."""
    # "</script>" in a token would end the script element, and "<" as \u003c is the same
    # JSON.
    inline = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )
    return f'<script type="application/json">{inline}</script>'


def attention_html(data: dict[str, Any]) -> str:
    """An attention view for a page: the element with its data inside."""
    return f"<minitfm-attention><p>{WITHOUT}</p>{script(data)}</minitfm-attention>"


def read_facts(file: bytes) -> dict[str, Any]:
    """What a file of `weights.pack` says of itself: config, symbols, longest, about.

    A safetensors file begins with eight bytes of length, then a JSON header of that
    length.
    """
    length = int.from_bytes(file[:8], "little")
    return json.loads(json.loads(file[8 : 8 + length])["__metadata__"]["minitfm"])


def live_html(
    model: str,
    prompt: str = DATE_PROMPT,
    examples: Sequence[str] = DATE_EXAMPLES,
    *,
    recording: dict[str, Any] | None = None,
) -> str:
    """A live Transformer for a page.

    What a model of ours says of its training goes along, so that a reader knows before
    anything is fetched.

    Args:
        model: the address of its file, as seen from the page.
        prompt: what the reader is asked for.
        examples: texts to try at a click; the first one fills the field.
        recording: of the first example, from ``recording.record``; it is played once
            when the reader sees it, before the model is fetched.
    """
    file = STATIC / model.rpartition("/")[2]
    about = read_facts(file.read_bytes())["about"] if file.is_file() else {}
    attributes = {
        "model": model,
        "prompt": prompt,
        "examples": json.dumps(list(examples), ensure_ascii=False),
        "about": json.dumps(about, ensure_ascii=False),
    }
    written = "".join(f' {name}="{escape(text)}"' for name, text in attributes.items())
    played = script(recording) if recording else ""
    return f"<minitfm-live{written}><p>{WITHOUT}</p>{played}</minitfm-live>"


def attention_page(title: str, views: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """A whole HTML page of attention views, which needs no other file and no network.

    Args:
        title: of the page.
        views: each with its heading; the data are ``AttentionView.data``.
    """
    script = bundle("attention-view.js").replace("</script", "<\\/script")
    style = (STATIC / "page.css").read_text(encoding="utf-8")
    sections = "\n".join(
        f"<h2>{escape(heading)}</h2>\n{attention_html(data)}" for heading, data in views
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>\n:root { color-scheme: light dark }\n"
        "body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem;"
        f" font-family: system-ui, sans-serif }}\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{sections}\n"
        f'<script type="module">\n{script}\n</script>\n</body>\n</html>\n'
    )
