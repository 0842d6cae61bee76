"""Tables of other libraries as data sets: pandas, polars, pyarrow, Hugging Face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from afnio._text import shorten
from afnio.errors import InputTypeError
from afnio.utils._dataset import Dataset


class TableDataset(Dataset[Any]):
    """The rows of a table as dicts from column names to plain Python values.

    Rows are looked up one by one, so a large table stays where it is. Missing values
    (NaN, NaT, NA) become None, NumPy scalars become Python's.

    Args:
        table: A pandas or polars DataFrame, a pyarrow Table, one split of a Hugging
            Face Dataset, or any sequence of mappings.
        transform: Makes a sample of a row's dict, such as a tuple of Variables; called
            each time a sample is looked up.

    Raises:
        InputTypeError: It is no table, or one of several splits.

    Examples:
        >>> rows = [{"q": "1 + 1?", "a": "2"}, {"q": "2 + 2?", "a": "4"}]
        >>> TableDataset(rows, transform=lambda row: (row["q"], row["a"]))[1]
        ('2 + 2?', '4')
    """

    def __init__(
        self, table: Any, transform: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        self.table = table
        self.transform = transform
        self._row = _reader(table)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"the table has rows 0 to {len(self) - 1}, got {index}")
        row = {str(name): _plain(value) for name, value in self._row(index).items()}
        return row if self.transform is None else self.transform(row)

    def __repr__(self) -> str:
        return f"TableDataset({type(self.table).__name__}, {len(self)} rows)"


def _reader(table: Any) -> Callable[[int], Mapping[Any, Any]]:
    """Return the function that looks up one row of this kind of table."""
    if isinstance(table, Mapping):
        names = ", ".join(map(str, table))
        raise InputTypeError(
            f"the table is a {type(table).__name__} of {shorten(names)}; pass one of "
            "its parts, such as table['train']."
        )
    if hasattr(table, "iloc"):  # pandas
        return lambda index: {
            name: column.iloc[index] for name, column in table.items()
        }
    if hasattr(table, "row"):  # polars
        return lambda index: dict(table.row(index, named=True))
    if hasattr(table, "to_pylist"):  # pyarrow
        return lambda index: dict(table.slice(index, 1).to_pylist()[0])
    if hasattr(table, "__getitem__") and hasattr(table, "__len__"):
        return lambda index: _mapping(table[index])
    raise InputTypeError(
        f"a {type(table).__name__} is no table; expected a DataFrame, a pyarrow Table, "
        "a Hugging Face Dataset or a sequence of dicts."
    )


def _mapping(row: Any) -> Mapping[Any, Any]:
    if not isinstance(row, Mapping):
        raise InputTypeError(
            f"a row is {type(row).__name__} {shorten(row)}; expected a dict from "
            "column names to values."
        )
    return row


def _plain(value: Any) -> Any:
    """Return a value as Python has it; None for what is missing."""
    if type(value).__name__ in ("NAType", "NaTType") or value is None:
        return None
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124
