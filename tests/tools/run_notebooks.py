"""Run the notebooks from a clean kernel and store their outputs, so that a second run changes no byte.

`make notebooks` runs all of them, `make notebooks ONLY=09_transformer` one.
"""

import base64
import io
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
}
LANGUAGE = {
    "language_info": {
        "name": "python",
        "file_extension": ".py",
        "mimetype": "text/x-python",
    }
}


def stored(output: NotebookNode) -> NotebookNode | None:
    """The part of an output that a page without a kernel can show, and that is the same on every run."""
    if output.output_type == "stream" and output.name == "stderr":
        return None
    data = output.get("data", {})
    if data.pop(WIDGET, None) is not None and set(data) <= {"text/plain"}:
        return None  # a live widget alone, such as a progress bar
    return output


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs in which text that was printed in several pieces is one."""
    whole: list[NotebookNode] = []
    for output in outputs:
        last = whole[-1] if whole else None
        if (
            last
            and last.output_type == output.output_type == "stream"
            and last.name == output.name
        ):
            last.text += output.text
        else:
            whole.append(output)
    return whole


def normalize(notebook: NotebookNode, name: str) -> None:
    """Remove what changes from run to run or machine to machine."""
    notebook.metadata = NotebookNode(**KERNEL, **LANGUAGE)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name[:2]}-{number:03}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = joined(
                [output for output in map(stored, cell.outputs) if output]
            )


def with_palette(png: str) -> str:
    """The same picture with 256 colors, a third as large: no color moves by more than the eye forgives."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode == "P":
        return png
    image = image.convert("RGB")
    image = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small = io.BytesIO()
    image.save(small, format="png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def shrink_pictures(notebook: NotebookNode) -> None:
    """Store every picture with a palette."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = with_palette(output.data["image/png"])


def run(path: Path) -> float:
    """Execute one notebook in an empty folder, write it back, return the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", store_widget_state=False
        )
        client.execute(cwd=empty)
    seconds = time.perf_counter() - start
    normalize(notebook, path.stem)
    shrink_pictures(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")):
        print(f"{name}: {run(NOTEBOOKS / f'{name}.ipynb'):.0f} s", flush=True)
