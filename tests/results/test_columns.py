import pytest

from featureconvex.errors import UserError
from featureconvex.results.columns import RadiusColumn, parse_radius_column, radius_columns


@pytest.mark.parametrize(
    ("name", "threat", "level", "unit"),
    [
        ("radius_l1", "l1", "closed-form", "raw"),
        ("radius_linf_sound", "linf", "sound", "raw"),
        ("radius_l1.5_tight", "l1.5", "tight", "raw"),
        ("radius_l0_domain", "l0", "domain", "raw"),
        ("radius_patch-12_domain", "patch-12", "domain", "raw"),
        ("radius_std_l2", "l2", "closed-form", "std"),
        ("radius_std_l2_domain", "l2", "domain", "std"),
    ],
)
def test_reads_every_part_of_a_name(name: str, threat: str, level: str, unit: str) -> None:
    assert parse_radius_column(name) == RadiusColumn(threat, level, unit)
    assert RadiusColumn(threat, level, unit).name == name


@pytest.mark.parametrize(
    "name",
    [
        "radius",
        "radius_",
        "radius_l2_domian",
        "radius_patch-0",
        "radius_x",
        "radius_l2_",
        "radius_l2_closed-form",
        "radius_l2.0",
    ],
)
def test_refuses_a_name_it_cannot_read(name: str) -> None:
    with pytest.raises(UserError, match="is not a radius column"):
        parse_radius_column(name)


def test_orders_units_threats_and_levels() -> None:
    names = [
        "label",
        "slope_l1",
        "radius_patch-5",
        "radius_l0",
        "radius_linf",
        "radius_l2_sound",
        "radius_l2",
        "radius_l2_domain",
        "radius_l1",
        "radius_std_l1",
    ]
    assert [c.name for c in radius_columns(names)] == [
        "radius_std_l1",
        "radius_l1",
        "radius_l2",
        "radius_l2_domain",
        "radius_l2_sound",
        "radius_linf",
        "radius_l0",
        "radius_patch-5",
    ]
