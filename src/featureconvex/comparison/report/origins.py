"""Where the settings of a comparison were run: they may come from several commands."""

from featureconvex.comparison.report.lines import ran
from featureconvex.comparison.schema import ComparisonTables
from featureconvex.provenance import Provenance


def origins(tables: ComparisonTables) -> list[str]:
    """Machine, instructions, threads, revision: one line per command, with command and methods if several.

    The origin of the reference comes first: costs are ratios to its seconds.
    """
    found: dict[tuple[str, str], list[str]] = {}
    reference = tables["reference"]["method"]
    methods = sorted(ran(tables).items(), key=lambda item: item[0] != reference)
    for _, method in methods:
        for setting in method["settings"]:
            made = setting["provenance"]
            titles = found.setdefault((_place(made), made["command"]), [])
            if method["title"] not in titles:
                titles.append(method["title"])
    if len(found) == 1:
        return [place for place, _ in found]
    return [
        f'{place}, "{command}" ({", ".join(titles)})' for (place, command), titles in found.items()
    ]


def _place(made: Provenance) -> str:
    threads = f"{made['threads']} thread{'s' if made['threads'] != 1 else ''}"
    revision = f", revision {made['git']}" if made["git"] else ""
    # Comparisons made before it was recorded have none.
    kernels = f", {made['instruction_set']}" if made.get("instruction_set") else ""
    return f"{made['machine']}{kernels}, {threads}{revision}"
