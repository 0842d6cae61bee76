"""Wrong names: what a constructor or a package does not have, and what is meant."""

import inspect

import pytest

import afnio
from afnio._hints import hinted
from afnio.errors import InputTypeError
from afnio.models import Budget
from afnio.optim import TGD, NoOp, PatchTGD
from afnio.utils.data import DataLoader


@pytest.fixture
def params():
    """Return what an optimizer takes."""
    return [afnio.Variable("Hi.", "prompt", requires_grad=True)]


@pytest.mark.parametrize("method", [TGD, PatchTGD])
def test_the_name_of_params_is_given(method, params):
    """TextGrad calls them parameters; other arguments go to completions."""
    with pytest.raises(InputTypeError, match="'parameters'; did you mean 'params'"):
        method(parameters=params, temperature=0)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: DataLoader([1], batchsize=2), "'batchsize'; did you mean 'batch_size"),
        (lambda: DataLoader([1], num_workers=2), "did you mean 'prefetch'"),
        (lambda: Budget(dollars=3), "Budget has no argument 'dollars'; .*'usd'"),
        (lambda: Budget(minutes=3), "known: calls, clock, seconds, tokens, usd"),
    ],
)
def test_a_wrong_argument_is_named_with_the_right_one(make, word):
    """No bare TypeError of Python's."""
    with pytest.raises(InputTypeError, match=word):
        make()


def test_other_errors_stay_as_they_are(params):
    """Missing arguments, too many, and what goes wrong inside."""
    with pytest.raises(TypeError, match="missing 1 required"):
        TGD()
    with pytest.raises(TypeError, match="positional arguments"):
        NoOp(params, 1, 2, 3)

    @hinted()
    class Broken:
        def __init__(self, x):
            raise TypeError(f"unexpected keyword argument {x}")

    with pytest.raises(TypeError, match="argument x") as caught:
        Broken("x")
    assert not isinstance(caught.value, InputTypeError)


def test_signatures_stay_readable():
    """Help and editors show the arguments."""
    assert "batch_size" in inspect.signature(DataLoader).parameters
    assert "edit_lr" in inspect.signature(PatchTGD).parameters


def test_a_package_suggests_a_name():
    """Also for names that were loaded with it; private ones stay unexplained."""
    with pytest.raises(AttributeError, match="mean 'set_backward_model_client'"):
        _ = afnio.set_backward_engine
    with pytest.raises(AttributeError, match="mean 'no_grad'"):
        _ = afnio.nograd
    with pytest.raises(AttributeError, match=r"attribute '_nograd'$"):
        _ = afnio._nograd
