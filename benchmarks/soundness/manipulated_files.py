"""Files that are really manipulated as much as certified: how many of them pass?

    python benchmarks/soundness/manipulated_files.py [--files 100000] [--only histogram]

Shared objects against compiled Python files, those of the running Python. For every representation and
operation the flagged held-out shared objects are certified at the levels ``domain``, ``tight`` and
``sound``; then as many bytes as the largest of the three certifies are appended, inserted or changed,
random ones and chosen ones: those whose n-grams lower the margin most, repeated, at places that count
most. Not one file may pass. Writes ``results/manipulated_files.json``; exit status 1 if any does.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import featureconvex as fc
from featureconvex.certificates.threats import FileThreat
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.files import write_text
from featureconvex.progress import progress_bar
from featureconvex.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "manipulated_files.json"
FORMS = (ByteCounts(), ByteCounts(2, 256), ByteCounts(3, 1024))
THREATS: tuple[type[FileThreat], ...] = (fc.Append, fc.Insert, fc.Change)
LEVELS = ("domain", "tight", "sound")
CAP, MOST = 2**15, 2**15
"""Bytes of a file; and operations, where more are certified."""
PATTERNS = 300

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


def operated(kind: type[FileThreat], content: Bytes, new: Bytes, places: NDArray[np.intp]) -> Bytes:
    """The file with the bytes appended, inserted before these places, or written to them."""
    if kind is fc.Append:
        return np.concatenate((content, new))
    if kind is fc.Insert:
        return np.insert(content, places, new)
    content = content.copy()
    content[places] = new
    return content


def patterns(form: ByteCounts, worth: Floats, rng: np.random.Generator) -> list[Bytes]:
    """Short loops of bytes, those first whose n-grams lower the margin most by its gradient."""
    loops = [np.full(1, byte, dtype=np.uint8) for byte in range(256)]
    loops += [
        rng.integers(0, 256, int(rng.integers(2, 5))).astype(np.uint8) for _ in range(PATTERNS)
    ]
    grown = np.array([form(np.resize(loop, 60)) for loop in loops])
    return [loops[k] for k in np.argsort(grown @ worth)]


def variants(
    kind: type[FileThreat],
    form: ByteCounts,
    content: Bytes,
    worth: Floats,
    k: int,
    count: int,
    rng: np.random.Generator,
) -> list[Bytes]:
    """So many files that k operations make of one."""
    best = patterns(form, worth, rng)
    # What a byte of the file is worth: changing the dearest ones first takes most.
    lost = worth[content] if form.ngram == 1 else rng.random(len(content))
    dearest = np.argsort(-lost)
    made = []
    for turn in range(count):
        loop = best[turn % 40] if turn % 2 else best[int(rng.integers(len(best)))]
        new = np.resize(loop, k) if turn % 5 else rng.integers(0, 256, k).astype(np.uint8)
        start = int(rng.integers(0, len(content)))
        together = (start + np.arange(k)) % len(content)
        if kind is fc.Change:
            k_here = min(k, len(content))
            scattered = rng.permutation(len(content))[:k_here]
            places = (dearest[:k_here], scattered, together[:k_here])[turn % 3]
            made.append(operated(kind, content, new[:k_here], places))
        else:
            places = np.full(k, start) if turn % 2 else rng.integers(0, len(content), k)
            made.append(operated(kind, content, new, places))
    return made


def margins(clf: fc.FeatureConvexClassifier, form: ByteCounts, files: list[Bytes]) -> Floats:
    """Positive where a file is flagged."""
    return np.asarray(clf.sensitive_margin(np.array([form(file) for file in files])))


def worth_of_counts(clf: fc.FeatureConvexClassifier, point: Floats) -> tuple[float, Floats]:
    """Margin and its gradient at one row."""
    x = torch.from_numpy(point).requires_grad_()
    margin = clf.model_(x)
    (slope,) = torch.autograd.grad(margin.sum(), x)
    return margin.item(), slope[0].numpy()


def tried(form: ByteCounts, files: int, paths: dict[str, list[Path]], progress: bool) -> list[Any]:
    """One representation: a line for each operation."""
    contents = [np.fromfile(path, dtype=np.uint8) for part in paths.values() for path in part]
    x = np.array([form(content) for content in contents])
    y = np.repeat(list(paths), [len(part) for part in paths.values()])
    test = np.arange(len(y)) % 4 == 0
    clf = fc.FeatureConvexClassifier("so", norm=1, random_state=0).fit(x[~test], y[~test])
    objects = np.flatnonzero(test & (y == "so"))
    lines = []
    for kind in THREATS:
        rng = np.random.default_rng(0)
        found = {level: clf.certify(x[objects], kind(form.ngram), level=level) for level in LEVELS}
        radii = {level: certificate.radius for level, certificate in found.items()}
        largest = np.minimum(np.max(list(radii.values()), axis=0), MOST).astype(int)
        flagged = np.flatnonzero(largest >= 1)
        each = -(-files // max(1, len(flagged)))
        made, passed, nearest = 0, 0, np.inf
        title = f"{form.name}, {kind.__name__}"
        with progress_bar(title, len(flagged), progress) as tick:
            for row in flagged:
                content, point = contents[objects[row]], x[objects[row]][None]
                margin, worth = worth_of_counts(clf, point)
                new = variants(kind, form, content, worth, int(largest[row]), each, rng)
                left = margins(clf, form, new) / margin
                made, passed = made + len(left), passed + int((left <= 0).sum())
                nearest = min(nearest, float(left.min()))
                tick(1, "")
        lines.append(
            {
                "form": form.name,
                "operation": kind.__name__,
                "files": len(flagged),
                "median_certified": {
                    level: float(np.median(values)) for level, values in radii.items()
                },
                "manipulated": made,
                "passed": passed,
                "least_share_of_margin_left": nearest,
            }
        )
        print(json.dumps(lines[-1]), flush=True)
    return lines


def main() -> int:
    """Manipulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [form.name for form in FORMS]
    parser.add_argument("--files", type=int, default=100_000, help="so many in all")
    parser.add_argument("--only", choices=names, nargs="*", default=names)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from examples.work import binaries

    chosen = [form for form in FORMS if form.name in options.only]
    paths = {}
    for kind, suffix in (("so", ".so"), ("pyc", ".pyc")):
        found = [path for path in binaries.found(suffix, 10**6) if path.stat().st_size <= CAP]
        paths[kind] = found[:: max(1, len(found) // 400)]
    share = -(-options.files // (len(chosen) * len(THREATS)))
    lines = [line for form in chosen for line in tried(form, share, paths, True)]
    record = {"lines": lines, "manipulated": sum(line["manipulated"] for line in lines)}
    record["passed"] = sum(line["passed"] for line in lines)
    record["provenance"] = provenance()
    write_text(RESULT, json.dumps(record, indent=1) + "\n")
    print(f"{record['manipulated']} files, {record['passed']} of them passed")
    return 1 if record["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
