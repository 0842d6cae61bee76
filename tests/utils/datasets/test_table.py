"""Tests of afnio.utils.datasets.table, against the real libraries where installed."""

import pytest

from afnio.errors import InputTypeError
from afnio.utils.data import DataLoader
from afnio.utils.datasets import TableDataset

ROWS = [
    {"text": "good", "stars": 5, "price": 1.5, "sure": True},
    {"text": None, "stars": 1, "price": None, "sure": False},
]


def pandas_table():
    """Return a frame whose index is no range."""
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(ROWS, index=["x", "y"])


def polars_table():
    """Return a polars frame."""
    return pytest.importorskip("polars").DataFrame(ROWS)


def arrow_table():
    """Return a pyarrow table."""
    return pytest.importorskip("pyarrow").Table.from_pylist(ROWS)


def hugging_face_table():
    """Return one split."""
    return pytest.importorskip("datasets").Dataset.from_list(ROWS)


makers = pytest.mark.parametrize(
    "make",
    [list, pandas_table, polars_table, arrow_table, hugging_face_table],
    ids=lambda make: make.__name__,
)


def table(make):
    """Return the same rows in each form."""
    return ROWS if make is list else make()


@makers
@pytest.mark.filterwarnings("ignore")  # of the libraries themselves
def test_rows_are_dicts_of_plain_values(make):
    """Equal values of the same Python types, None where one is missing."""
    rows = TableDataset(table(make))
    assert [rows[0], rows[1]] == ROWS
    assert [type(value) for value in rows[0].values()] == [str, int, float, bool]
    with pytest.raises(IndexError):
        rows[2]
    assert "2 rows" in repr(rows)


@makers
@pytest.mark.filterwarnings("ignore")
def test_rows_load_in_batches(make):
    """A transform makes samples, and a loader batches of them."""
    rows = TableDataset(table(make), transform=lambda row: (row["text"], row["stars"]))
    assert list(DataLoader(rows, batch_size=2)) == [(["good", None], [5, 1])]


def test_what_is_no_table_is_named():
    """Splits together, single values and rows that are no dicts."""
    with pytest.raises(InputTypeError, match=r"table\['train'\]"):
        TableDataset({"train": ROWS, "test": ROWS})
    with pytest.raises(InputTypeError, match="int is no table"):
        TableDataset(3)
    with pytest.raises(InputTypeError, match="a row is str"):
        TableDataset(["a"])[0]
