"""The package `afnio.utils`."""

import pytest

from afnio import utils


def test_subpackages_are_attributes():
    """Data is there at once; an unknown name is an AttributeError."""
    assert utils.data.DataLoader
    assert utils.datasets.FacilitySupport
    with pytest.raises(AttributeError, match="nothing"):
        utils.nothing
