"""Draw the picture that other sites show beside a shared link: `python -m tests.tools.card` writes book/_static/card.png."""

import re
from pathlib import Path

from tests.site import chromium_path

STATIC = Path(__file__).parents[2] / "book" / "_static"
SIZE = {"width": 1200, "height": 630}
PAGE = """<!doctype html><meta charset="utf-8"><style>
  * {{ margin: 0; box-sizing: border-box; font-family: system-ui, "DejaVu Sans", "Noto Sans CJK JP", sans-serif; }}
  body {{ width: 1200px; height: 630px; padding: 56px 70px; background: #fff; color: #222832; border-bottom: 14px solid #1f6aa5; }}
  header {{ display: flex; align-items: center; gap: 20px; font-size: 36px; font-weight: 700; }}
  header svg {{ height: 58px; }} h1 {{ font-size: 72px; margin: 26px 0 6px; letter-spacing: -.015em; }}
  p {{ font-size: 31px; color: #48566b; }} main svg {{ display: block; width: 820px; margin: 26px auto 0; }}
</style><header>{logo} minitfm</header><main><h1>Grow a Transformer</h1>
<p>From the RNN’s limits to the whole of “Attention Is All You Need”.</p>{hero}</main>"""


def drawing(name: str) -> str:
    """One of our drawings, to stand in a page."""
    return re.sub(r"<title.*?</title>", "", (STATIC / name).read_text("utf-8"))


def main() -> None:
    """Write the picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=SIZE)
        page.set_content(PAGE.format(logo=drawing("logo.svg"), hero=drawing("hero.svg")))  # fmt: skip
        page.screenshot(path=STATIC / "card.png")
        browser.close()


if __name__ == "__main__":
    main()
