"""The soundness campaign in small: no violation of level ``sound``, and planted ones are found."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from featureconvex.errors import UserError
from featureconvex.rounding import directed
from featureconvex.testing.soundness import Campaign, Claim, Plan, Shard, Tally, random_case
from featureconvex.testing.soundness.cases.random import HARD_EVERY
from featureconvex.testing.soundness.cases.random_tables import table_case

# What foolbox warns of as it is imported and run.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
COMMAND = Path(__file__).parents[2] / "benchmarks" / "soundness" / "soundness.py"
PLAN = Plan(seed=3, points=6, trained_points=4, real=False)


@pytest.fixture(scope="module")
def seven_hundred(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A campaign's folder and its record."""
    folder = tmp_path_factory.mktemp("campaign")
    return folder, Campaign(folder, PLAN).run(700).record()


def test_seven_hundred_certificates_and_no_violation(
    seven_hundred: tuple[Path, dict[str, Any]],
) -> None:
    folder, record = seven_hundred
    assert record["certificates"] >= 700
    assert record["certificates_sound"] > 300
    assert record["violations_sound"] == 0
    assert record["refused"] == []
    assert set(record["levels"]) == {
        *("closed-form", "domain", "tight"),
        *(f"sound ({arithmetic})" for arithmetic in ("real", "float32", "float64")),
    }
    assert all(counts["judged"] > 0 for counts in record["levels"].values())
    assert record["shards"] == len(list(folder.glob("shard-*.json"))) > 1
    # The attack gets as near as it is told to: somewhere a radius is used up to the last digits.
    near = [entry for entry in record["nearest"] if entry["level"] == "sound (real)"]
    assert 0 < near[0]["share"] < 1e-9
    assert json.loads(json.dumps(record)) == record


def test_a_killed_campaign_goes_on(
    seven_hundred: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Campaign(seven_hundred[0], PLAN).run(300).record()
    part = Campaign(tmp_path / "part", PLAN)
    first = part.shard(0)
    (tmp_path / "part" / ".shard-00001.half.json").write_text("{")
    monkeypatch.setattr(part, "case", lambda _: random_case(10**6, 0, 1))
    assert part.shard(0).values() == first.values()
    assert Campaign(tmp_path / "part", PLAN).run(300).record() == whole
    with pytest.raises(UserError, match="another campaign"):
        Campaign(tmp_path / "part", Plan(seed=4, real=False))


def test_a_trained_model_takes_its_turn(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, PLAN)
    case = campaign.case(5)
    assert case.origin == "digits-3-8, fixed, l2"
    with torch.no_grad():
        assert bool((case.model(case.x) > 0).all())
    tally = Shard(case, 5).run()
    assert tally.certificates > 100
    assert tally.violations("sound") == 0
    # The model is loaded from its file the next time.
    again = Campaign(tmp_path, PLAN).case(5)
    with torch.no_grad():
        assert torch.equal(case.model(case.x), again.model(case.x))


@pytest.mark.parametrize("turn", range(4))
def test_tables_are_attacked_by_edits(turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No violation; and a budget 10 % too large is seen wherever edits or moves can spend it."""
    case = table_case(turn, seed=1, points=8)
    if turn == 2:  # the longest by far
        case = replace(case, settings=case.settings[::2])
    tally = Shard(case).run()
    assert tally.certificates > 60
    assert tally.refused == []
    assert tally.violations("sound") == 0
    if turn == 2:
        return
    true = Shard.certified
    monkeypatch.setattr(Shard, "certified", lambda *args: 1.1 * true(*args))
    shard = Shard(case)
    found = (shard.setting(index).violations("sound") for index in range(len(case.settings)))
    assert any(found)


@pytest.mark.parametrize(("turn", "broken"), [(0, False), (1, True)])
def test_cases_made_to_break_do_break_what_rounds_carelessly(turn: int, broken: bool) -> None:
    """Slopes that cancel, which every level checks, and decisions that are rounding, where ``sound`` alone
    withstands.
    """
    case = random_case(HARD_EVERY * (turn + 1) - 1, seed=0, points=24)
    tally = Shard(case).run()
    for level in ("closed-form", "domain", "tight"):
        assert (tally.violations(level) > 0) == broken
    assert tally.violations("sound") == 0
    assert sum(line.attacked for line in tally.lines if line.level == "sound (real)") > 20


def test_a_planted_small_constant_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(HARD_EVERY - 1, seed=0, points=24)
    monkeypatch.setattr(directed.Rounding, "gamma", lambda self, _: 1e-3 * self.unit)
    tally = Shard(case).run()
    assert tally.violations("sound (real)") > 0
    worst = next(near for near in tally.nearest if near.level == "sound (real)")
    assert worst.margin <= 0
    assert worst.radius > 0


def test_radii_a_little_too_large_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every level and arithmetic is really attacked: 10 % too much shows in each of them."""
    true = Shard.certified
    monkeypatch.setattr(Shard, "certified", lambda *args: 1.1 * true(*args))
    tally = Tally()
    for number in (0, 9):
        tally.add(Shard(random_case(number, seed=0, points=8)).run())
    counts = tally.by("level")
    assert len(counts) == 6
    assert all(count["violations"] > 0.05 * count["attacked"] for count in counts.values())


def test_a_level_that_refuses_is_written_down_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true = Shard.certified

    def refusing(self: Shard, claim: Claim, index: int) -> NDArray[np.float64]:
        if claim.level == "tight":
            raise UserError("not today")
        return true(self, claim, index)

    monkeypatch.setattr(Shard, "certified", refusing)
    tally = Shard(random_case(0, seed=0, points=8)).setting(0)
    assert [entry["reason"] for entry in tally.refused] == ["not today"]
    assert tally.refused[0]["level"] == "tight"
    assert {line.level for line in tally.lines} >= {"domain", "sound (real)"}
    assert "tight" not in {line.level for line in tally.lines}
    assert Tally.of(json.loads(json.dumps(tally.values()))) == tally


def test_the_command_writes_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "soundness.json"
    arguments = ["--certificates", "100", "--points", "4", "--seed", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [str(COMMAND), *arguments, "--folder", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(COMMAND), run_name="__main__")
    assert done.value.code == 0
    record = json.loads(out.read_text())
    assert record["certificates"] >= 100
    assert "soundness.py" in record["provenance"]["command"]
    assert "violations of level sound: 0 of" in capsys.readouterr().out
