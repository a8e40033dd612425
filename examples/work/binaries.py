"""How many bytes must be appended to a shared object before it passes for a compiled Python file?

    python -m examples.work.binaries OUT

The files are those of the running Python: its extension modules and its compiled modules. Trains on byte
counts for l1, the norm of an appending attacker, certifies the held-out shared objects against appended,
inserted and changed bytes, really appends so many bytes to each, and writes ``binaries.json``,
``binaries.csv`` and ``binaries.png``.
"""

import json
import sys
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

import featureconvex as fc
from featureconvex.data.files.byte_counts import ByteCounts

Bytes = NDArray[np.uint8]
CAP = 2**20
"""Larger files are left out."""
THREATS = (fc.Append(), fc.Insert(), fc.Change())


def found(suffix: str, most: int) -> list[Path]:
    """Files of the running Python with this suffix, up to the cap, evenly spread over its folders."""
    folders = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib")}

    def every() -> Iterator[Path]:
        for folder in sorted(folders):
            yield from sorted(folder.rglob(f"*{suffix}"))

    # A module may lie below both folders.
    paths = [path for path in dict.fromkeys(every()) if 0 < path.stat().st_size <= CAP]
    step = max(1, len(paths) // most)
    return list(islice(paths[::step], most))


def worst_bytes(clf: fc.FeatureConvexClassifier, x: NDArray[np.float64], many: int) -> Bytes:
    """(n, many): for each file the byte whose count, grown so much, lowers the margin most."""
    grown = x[:, None, :] + many * np.eye(256)[None]
    margin = clf.sensitive_margin(grown.reshape(-1, 256)).reshape(len(x), 256)
    return np.repeat(margin.argmin(axis=1)[:, None], many, axis=1).astype(np.uint8)


def refuted(
    clf: fc.FeatureConvexClassifier, contents: list[Bytes], radius: NDArray[np.float64]
) -> tuple[int, int]:
    """Append as many bytes as certified: how many files were made, and how many of them passed."""
    rng, counts = np.random.default_rng(0), ByteCounts()
    made, passed = 0, 0
    for content, most in zip(contents, radius, strict=True):
        if most < 1:
            continue
        many = int(min(most, CAP))
        x = counts(content)[None]
        tails = [worst_bytes(clf, x, many)[0]]
        tails += [rng.integers(0, 256, many).astype(np.uint8) for _ in range(4)]
        tails += [np.full(many, byte, dtype=np.uint8) for byte in rng.integers(0, 256, 5)]
        files = [np.concatenate((content, tail)) for tail in tails]
        margin = clf.sensitive_margin(np.array([counts(file) for file in files]))
        made += len(files)
        passed += int((margin <= 0).sum())
    return made, passed


def main(out: Path, most: int = 400, epochs: int | None = None) -> dict[str, Any]:
    """Do all of it; the numbers."""
    out.mkdir(parents=True, exist_ok=True)
    paths = {kind: found(suffix, most) for kind, suffix in (("so", ".so"), ("pyc", ".pyc"))}
    files = [*paths["so"], *paths["pyc"]]
    contents = [np.fromfile(path, dtype=np.uint8) for path in files]
    x = np.array([ByteCounts()(content) for content in contents])
    y = np.repeat(["so", "pyc"], [len(paths["so"]), len(paths["pyc"])])
    test = np.arange(len(y)) % 4 == 0
    clf = fc.FeatureConvexClassifier("so", norm=1, epochs=epochs, random_state=0)
    clf.fit(x[~test], y[~test])
    objects = test & (y == "so")
    certificates = clf.certify(x[objects], list(THREATS), level="domain")
    shown = [content for content, chosen in zip(contents, objects, strict=True) if chosen]
    made, passed = refuted(clf, shown, certificates[0].radius)
    table = pd.DataFrame(
        {"file": [path.name for path, one in zip(files, objects, strict=True) if one]}
    )
    table["size"] = [len(content) for content in shown]
    for certificate in certificates:
        table[certificate.threat.name] = certificate.radius
    table.to_csv(out / "binaries.csv", index=False)
    medians = {c.threat.name: float(np.median(c.radius)) for c in certificates}
    numbers = {
        "files": {kind: len(part) for kind, part in paths.items()},
        "accuracy": float((clf.predict(x[test]) == y[test]).mean()),
        "median_certified_bytes": medians,
        "certified": float((certificates[0].radius > 0).mean()),
        "appended_files": made,
        "of_these_passed": passed,
    }
    (out / "binaries.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    draw(table, out / "binaries.png")
    return numbers


def draw(table: pd.DataFrame, path: Path) -> None:
    """Certified share against the number of bytes, a line for each operation."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for threat in THREATS:
        radius = np.sort(table[threat.name].to_numpy())
        share = 1 - np.arange(len(radius)) / len(radius)
        axes.step(np.maximum(radius, 0.5), share, where="pre", label=threat.name)
    axes.set(xscale="log", xlabel="bytes", ylabel="certified share of shared objects", ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1])), indent=1))
