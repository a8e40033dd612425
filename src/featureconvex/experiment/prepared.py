"""A task's data as a model takes it, with the architecture and the recipe for it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.data import ClassDataset, LabelledData, to_tensor
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.errors import UserError
from featureconvex.features import standardise
from featureconvex.training.architectures import (
    TABLE_HIDDEN,
    Architecture,
    class_architecture,
    count_architecture,
    image_architecture,
    table_architecture,
    table_map,
)
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe


@dataclass(frozen=True)
class Prepared:
    """A task's data as a model takes it.

    Attributes:
        train, test: inputs and labels.
        architecture: what is trained.
        cost: (d,) one over the training standard deviations for tables, None for images.
        trained_cost: of the units that the model is trained in; ``cost`` but after a front.
        recipe: what trains it.
    """

    train: Points
    test: Points
    architecture: Architecture
    cost: Tensor | None
    trained_cost: Tensor | None
    recipe: Recipe


def prepare(
    dataset: LabelledData,
    recipe: Recipe,
    place: torch.device,
    counts: str | None = None,
    priced: bool = False,
) -> Prepared:
    """Tensors, an architecture and the recipe of a data set.

    Args:
        dataset: read.
        recipe: as asked for.
        place: the device.
        counts: see :class:`Settings`.
        priced: likewise.

    Raises:
        UserError: logarithms of what are no counts of bytes.
    """
    train, test = (
        Points(to_tensor(half.x), torch.from_numpy(half.y).long())
        for half in (dataset.train, dataset.test)
    )
    if counts is not None:
        if dataset.files != "other files" or isinstance(dataset.counts, BytePlot):
            raise UserError(
                f"--counts {counts} is for files whose bytes are counted, not for {dataset.name}"
            )
        architecture, inner = count_architecture(train.x, TABLE_HIDDEN, place)
        cost = standardise(train.x).scale.abs()
        return Prepared(train, test, architecture, cost, inner, recipe)
    if dataset.kind == "table":
        kept = _has_an_attacker_of_its_own(dataset) or (priced and dataset.files is None)
        learned = recipe.name == "default" and not kept
        name = table_map(recipe.norm) if learned else "identity"
        if kept and table_map(recipe.norm) != "identity":
            # One-sided training in l2 pays after the learned map only (results/table_maps.json).
            recipe = recipe.replace(asymmetry=1.0)
        architecture, cost = table_architecture(train.x, TABLE_HIDDEN, place, name)
        return Prepared(train, test, architecture, cost, cost, recipe)
    shape = tuple(train.x.shape[1:])
    if isinstance(dataset, ClassDataset):
        architecture = class_architecture(shape, dataset.name, recipe.norm, place)
    else:
        architecture = image_architecture(shape, dataset.name, recipe.name, recipe.norm, place)
    return Prepared(train, test, architecture, None, None, recipe)


def _has_an_attacker_of_its_own(dataset: LabelledData) -> bool:
    """Whether a schema says what an attacker can do, columns change by edits, or counts by operations.

    After a learned map a certificate can make little of these; with one curve per column it can.
    """
    edited = any(column.kind in ("category", "boolean") for column in dataset.columns or ())
    return dataset.schema is not None or edited or dataset.files == "other files"
