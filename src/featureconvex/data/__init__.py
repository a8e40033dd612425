"""Data: named tasks, one file per layout, each example in raw units with the number of its class."""

from featureconvex.data.classes.dataset import ClassDataset, ClassSplit
from featureconvex.data.dataset import Dataset, LabelledData, Split, to_tensor
from featureconvex.data.location import Location, resolve_data_dir
from featureconvex.data.registry import find_class_task, find_task, names_every_class
from featureconvex.data.split import TEST_FRACTION, chosen_rows, hold_out, stratified_split
from featureconvex.data.task import ClassTask, Task
from featureconvex.data.task_list import described_tasks, list_tasks

__all__ = [
    "TEST_FRACTION",
    "ClassDataset",
    "ClassSplit",
    "ClassTask",
    "Dataset",
    "LabelledData",
    "Location",
    "Split",
    "Task",
    "chosen_rows",
    "described_tasks",
    "find_class_task",
    "find_task",
    "hold_out",
    "list_tasks",
    "names_every_class",
    "resolve_data_dir",
    "stratified_split",
    "to_tensor",
]
