"""Arguments fall to parameters as `inspect.Signature.bind` says."""

from __future__ import annotations

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.autodiff._form import Form


def plain(ctx, a, b, c=3):
    """Take three arguments, however they are given."""


def further(ctx, a, b=2, **more):
    """Take others by name, too."""


def strict(ctx, a, /, b, *rest, c=3, **more):
    """Have parameters of every kind."""


def none(ctx):
    """Take nothing."""


FUNCTIONS = [plain, further, strict, none]


@pytest.mark.parametrize("fn", FUNCTIONS)
@given(
    args=st.lists(st.integers(), max_size=5).map(tuple),
    kwargs=st.dictionaries(st.sampled_from("abcdx"), st.integers(), max_size=4),
)
def test_as_python_binds(fn, args, kwargs):
    """Values, defaults and errors are the same."""
    params = list(inspect.signature(fn).parameters.values())[1:]
    signature = inspect.Signature(params)
    form = Form.of(fn, 1)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError, match=re.escape(str(error))):
            form.bind(args, kwargs)
    else:
        bound.apply_defaults()
        assert form.bind(args, kwargs) == (bound.args, bound.kwargs)
