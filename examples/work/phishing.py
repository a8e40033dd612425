"""How much must a phisher change about a page before it passes for an honest one?

    python -m examples.work.phishing phishing.csv OUT

A phisher can write the page and choose its address, but can neither make the domain older nor the site
popular. Each feature has three levels (0, 0.5, 1): changing what a page does is one change, from any
level to any, and a proper domain in place of a bare IP address three.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from examples.work.described import answer

PAGE = (
    "empty_server_form_handler",
    "popup_window",
    "https",
    "request_from_other_domain",
    "anchor_from_other_domain",
    "long_url",
)
SCHEMA = (
    'label = "is_phishing"\nsensitive = "1"\nunit = "changes"\n'
    + "".join(f'[columns.{name}]\ntype = "category"\ncost = 1.0\n' for name in PAGE)
    + '[columns.is_popular]\ntype = "category"\nattacker = "fixed"\n'
    + '[columns.age_of_domain]\ntype = "boolean"\nattacker = "fixed"\n'
    + '[columns.ip_in_url]\ntype = "boolean"\ncost = 3.0\n'
)

# Larger than the recipe chooses, which weighs accuracy more: here single changes must not be enough.
TEMPERATURE = 10.0


def main(data: Path, out: Path, epochs: int | None = None) -> dict[str, Any]:
    """All of it; the numbers."""
    return answer("phishing", pd.read_csv(data), SCHEMA, out, (1.0, 2.0, 3.0), TEMPERATURE, epochs)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2])), indent=1))
