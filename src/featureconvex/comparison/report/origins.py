"""Where the settings of a comparison were run: they may come from several commands."""

from typing import Any

from featureconvex.comparison.report.lines import ran

Table = dict[str, Any]


def origins(tables: Table) -> list[str]:
    """Machine, instructions, threads, revision: one line per command, with command and methods if several.

    The origin of the reference comes first: costs are ratios to its seconds.

    >>> def method(title, *revisions):
    ...     made = [{"machine": "AMD", "threads": 1, "git": r, "command": "go"} for r in revisions]
    ...     settings = [{"setting": {}, "provenance": one} for one in made]
    ...     return {"title": title, "settings": settings, "best_setting": {"l1": {}}}
    >>> ours, linear = method("ours", "a1", "a1"), method("linear", "b2")
    >>> origins({"reference": {"method": "ours"}, "methods": {"ours": ours}})
    ['AMD, 1 thread, revision a1']
    >>> origins({"reference": {"method": "ours"}, "methods": {"linear": linear, "ours": ours}})
    ['AMD, 1 thread, revision a1, "go" (ours)', 'AMD, 1 thread, revision b2, "go" (linear)']
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


def _place(made: Table) -> str:
    threads = f"{made['threads']} thread{'s' if made['threads'] != 1 else ''}"
    revision = f", revision {made['git']}" if made["git"] else ""
    # Comparisons made before it was recorded have none.
    kernels = f", {made['instruction_set']}" if made.get("instruction_set") else ""
    return f"{made['machine']}{kernels}, {threads}{revision}"
