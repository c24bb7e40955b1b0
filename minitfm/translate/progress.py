"""What a long training shows: a log, a bar, and in a notebook the loss curve."""

import csv
import math
import sys
import time
from pathlib import Path
from typing import Any

from minitfm.study.extras import brought_by

COLUMNS = ("step", "seconds", "rate", "loss", "tokens_per_second", "evaluation")


class Report:
    """The log of one training, log.csv, and what the screen shows of it."""

    def __init__(
        self,
        log: Path,
        step: int,
        steps: int,
        minutes: float = math.inf,
        shown: bool = True,
    ) -> None:
        """Begin a log, or continue one after ``step``. Rows of later steps are dropped:
        a training that was killed did them after its last checkpoint.

        Args:
            log: the file.
            step: number of steps done so far.
            steps: number of steps to do in all.
            minutes: time after which the training stops.
            shown: show a bar, and the curve in a notebook.
        """
        self.log, self.steps, self.minutes = log, steps, minutes
        rows = [row for row in self.rows() if int(row["step"]) <= step]
        self.before = max((float(row["seconds"]) for row in rows), default=0.0)
        log.parent.mkdir(parents=True, exist_ok=True)
        renewed = log.with_name(
            f".{log.name}"
        )  # killed while it writes, the old log is still whole
        with renewed.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *(row.values() for row in rows)])
        renewed.replace(log)
        self.begin = self.shown_at = time.monotonic()
        self.tokens, self.since = 0, self.begin
        self.curve: list[tuple[int, float]] = [
            (int(row["step"]), float(row["loss"])) for row in rows if row["loss"]
        ]
        notebook = in_notebook()
        self.bar: Any = None
        if shown:
            with brought_by("notebook"):
                from tqdm.auto import tqdm

            hidden = (
                False if notebook else None
            )  # None: hidden where nobody watches, as in a file
            self.bar = tqdm(
                total=steps,
                initial=step,
                unit="step",
                dynamic_ncols=True,
                disable=hidden,
            )
        self.figure = LossFigure() if shown and notebook else None

    def rows(self) -> list[dict[str, str]]:
        """The rows of the log."""
        if not self.log.is_file():
            return []
        with self.log.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            if missing := set(COLUMNS) - set(table.fieldnames or ()):
                raise ValueError(
                    f"{self.log} is no log of a training: it has no column"
                    f" {sorted(missing)[0]!r}. Move it away, and a new one begins"
                )
            return [
                row
                for row in table
                if row["evaluation"] is not None and row["step"].isdigit()
            ]

    def seconds(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self.before + time.monotonic() - self.begin

    def step(
        self, step: int, rate: float, loss: float, tokens: int, write: bool = False
    ) -> None:
        """Show one step; with ``write`` it goes into the log."""
        self.tokens += tokens
        now = time.monotonic()
        speed = self.tokens / max(now - self.since, 1e-9)
        if write:
            self.append(
                step,
                f"{self.seconds():.1f}",
                f"{rate:.4g}",
                f"{loss:.6f}",
                f"{speed:.0f}",
                "",
            )
            self.curve.append((step, loss))
            self.tokens, self.since = 0, now
        if self.bar is not None:
            self.bar.update()
            if now - self.shown_at > 1:
                self.shown_at = now
                left = 60 * self.minutes - (now - self.begin)
                stop = f", {left / 60:.1f} min left" if math.isfinite(left) else ""
                self.bar.set_postfix_str(
                    f"loss {loss:.3f}, {speed:,.0f} tokens/s{stop}"
                )
        if self.figure and write:
            self.figure.draw(self.curve)

    def evaluated(self, step: int, figures: dict[str, float]) -> None:
        """Log the figures of an evaluation."""
        found = " ".join(f"{name}={value:.4f}" for name, value in figures.items())
        self.append(step, f"{self.seconds():.1f}", "", "", "", found)
        if self.bar is not None:
            self.bar.write(f"step {step}: {found}")

    def go_on(self) -> None:
        """Leave the time of an evaluation and a checkpoint out of the training's
        speed.
        """
        self.tokens, self.since = 0, time.monotonic()

    def close(self) -> None:
        """End the bar, and draw the whole curve."""
        if self.bar is not None:
            self.bar.close()
        if self.figure:
            self.figure.draw(self.curve, at_once=True)

    def append(self, *values: Any) -> None:
        """Add a row to the log."""
        with self.log.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(values)


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class LossFigure:
    """The loss by step, drawn again in the same place of a notebook."""

    def __init__(self) -> None:
        """Reserve the place."""
        from IPython.display import display

        self.handle: Any = display(display_id=True)
        self.drawn = -math.inf

    def draw(self, curve: list[tuple[int, float]], at_once: bool = False) -> None:
        """Replace the picture, unless it is younger than 5 seconds: drawing takes time
        from the training.
        """
        import matplotlib.pyplot as plt

        from minitfm.study import plots

        if (
            len(curve) < 2
            or self.handle is None
            or (time.monotonic() - self.drawn < 5 and not at_once)
        ):
            return
        self.drawn = time.monotonic()
        steps, losses = zip(*((float(step), loss) for step, loss in curve))
        figure, ax = plt.subplots()
        plots.learning_curves(
            {"loss": (steps, losses)}, "step", "loss, nats a token", ax=ax
        )
        self.handle.update(figure)
        plt.close(figure)
