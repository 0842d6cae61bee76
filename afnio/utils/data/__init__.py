"""Datasets, samplers and the loader that makes batches of them."""

from afnio.utils.data._collate import collate_tuple, default_collate
from afnio.utils.data.dataloader import DataLoader
from afnio.utils.data.dataset import (
    Dataset,
    ListDataset,
    Subset,
    find_overlap,
    random_split,
)
from afnio.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "ListDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "WeightedRandomSampler",
    "collate_tuple",
    "default_collate",
    "find_overlap",
    "random_split",
]
