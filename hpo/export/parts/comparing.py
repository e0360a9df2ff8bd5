"""Two curves, as train.py prints them, two blanks between columns, compared number by number."""

import math
import sys
from contextlib import suppress
from pathlib import Path


def compare(logged: str, trained: str) -> tuple[float, str]:
    """Return the largest relative difference of two curves, and where that is.

    Learning rates count as well; what a recipe prints among the lines does not. The logged curve may have
    been cut short; one that is shorter than that, or has other columns, differs infinitely.
    """
    heading = logged.strip().partition("\n")[0]
    names = heading.split("  ")
    rows, found = numbers(logged, len(names)), numbers(trained, len(names))
    if heading not in trained.splitlines() or len(rows) > len(found):
        return math.inf, f"{len(found)} epochs of {', '.join(names)}"
    gaps = [
        (difference(one, other), f"{name}, epoch {row[0]:.0f}")
        for row, again in zip(rows, found, strict=False)
        for name, one, other in zip(names, row, again, strict=True)
    ]
    return max(gaps, key=lambda gap: gap[0])


def numbers(text: str, columns: int) -> list[list[float]]:
    """Return the lines that hold so many numbers."""
    rows = []
    for line in text.splitlines():
        with suppress(ValueError):
            rows.append([float(word) for word in line.split("  ")])
    return [row for row in rows if len(row) == columns]


def difference(one: float, other: float) -> float:
    """Return how far apart two numbers are, as a share of the larger one.

    What is no number is equal to its like, and infinitely far from all others, as is infinity.
    """
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    gap = abs(one - other) / max(abs(one), abs(other))
    return gap if math.isfinite(gap) else math.inf


def main(logged: str, trained: str, tolerance: str) -> int:
    """Compare two files, say what came of it, and return 0 if they agree."""
    gap, where = compare(Path(logged).read_text("utf-8"), Path(trained).read_text("utf-8"))
    agrees = gap <= float(tolerance)
    told = f"differs by {gap:.2g} of its value ({where})" if gap else "is repeated to the last digit"
    verdict = "verified" if agrees else "NOT verified"
    sys.stdout.write(f"The curve {told}; the tolerance is {tolerance}: {verdict}.\n")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
