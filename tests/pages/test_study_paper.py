"""The committed study of the paper is made of the results as they are committed now."""

import pytest
from tests.pages.pages import ROOT

from featureconvex.results.strict_json import load_json
from featureconvex.study.paper.sources import digest

ITEMS = load_json(ROOT / "results" / "study_paper.json")["items"]


@pytest.mark.parametrize("item", ITEMS)
def test_its_sources_have_not_changed_since(item: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    known = ITEMS[item]["results"]
    now = {name: digest(name) for name in known}
    assert now == known, "make it again: featureconvex study paper"
