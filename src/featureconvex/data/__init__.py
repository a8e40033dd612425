"""Data: named tasks, one file per layout, each example in raw units with a 0/1 label."""

from featureconvex.data.dataset import Dataset, Split, to_tensor
from featureconvex.data.location import Location, resolve_data_dir
from featureconvex.data.registry import described_tasks, find_task, list_tasks
from featureconvex.data.split import TEST_FRACTION, chosen_rows, hold_out, stratified_split
from featureconvex.data.task import Task

__all__ = [
    "TEST_FRACTION",
    "Dataset",
    "Location",
    "Split",
    "Task",
    "chosen_rows",
    "described_tasks",
    "find_task",
    "hold_out",
    "list_tasks",
    "resolve_data_dir",
    "stratified_split",
    "to_tensor",
]
