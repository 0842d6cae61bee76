"""Arguments of optimizers that go to every completion: what is meant otherwise."""

import pytest
from optim_helpers import param

from afnio.errors import InputTypeError, InputValueError
from afnio.models.testing import ScriptedModel
from afnio.optim import GEPA, TGD, PatchTGD

METHODS = (TGD, PatchTGD, GEPA)


@pytest.mark.parametrize("method", METHODS)
def test_a_client_is_no_completion_argument(method):
    """It would fail much later, where it is put in a cache's key."""
    with pytest.raises(InputTypeError, match="pass the client as model_client="):
        method([param()], model=ScriptedModel())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("lr", "edit_lr"),
        ("gradient_memory", "momentum"),
        ("verbose", "history"),
        ("engine", "model_client"),
        ("model_clients", "did you mean 'model_client'"),
    ],
)
def test_options_of_other_libraries_are_refused(method, name, word):
    """The message names what is meant here."""
    with pytest.raises(InputValueError, match=word) as caught:
        method([param()], **{name: 1})
    assert f"no option {name!r}" in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_arguments_of_completions_pass(method):
    """Those of any provider."""
    opt = method([param()], model="gpt-4o", temperature=0, top_k=3, seed_text="x")
    assert opt.defaults["completion_args"]["model"] == "gpt-4o"
