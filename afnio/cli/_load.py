"""Programs, data and states that are named on the command line."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from afnio._text import closest, shorten
from afnio.errors import InputTypeError, InputValueError, MissingFileError

DEFAULT_NAME: Final = "program"
"""What is taken from a file when the command line names nothing in it."""

_PREFIX: Final = "afnio_cli_"
"""What the names of modules begin with that are loaded from a file."""

MODEL_NAMES: Final = (
    "fwd_model",
    "forward_model_client",
    "model_client",
    "model",
    "client",
)
"""Parameters that ``--model`` is passed to; the first that there is."""


def load_object(spec: str, default: str | None = None) -> Any:
    """Return what ``FILE.py:NAME`` or ``package.module:NAME`` names.

    The file is run, as an import would.

    Args:
        spec: The words of the command line.
        default: The name if none is given.

    Raises:
        MissingFileError: There is no such file.
        InputValueError: There is no such module or name.
    """
    place, colon, name = spec.rpartition(":")
    if not colon or place.endswith(":") or "/" in name or "\\" in name:
        place, name = spec, default or ""
    if not place or not name:
        raise InputValueError(
            f"{shorten(spec)!r} names nothing; expected FILE.py:NAME or "
            "package.module:NAME."
        )
    module = _from_file(Path(place)) if place.endswith(".py") else _imported(place)
    return _member(module, name, place)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise MissingFileError(f"there is no file {shorten(path)}.")
    path = path.resolve()
    name = f"{_PREFIX}{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    _refuse_namesakes(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    _put_first(path.parent)
    try:
        with _exit_refused(path.name):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _exit_refused(name: str) -> Iterator[None]:
    """Say what it means that a file ends the program while it is loaded.

    Raises:
        InputValueError: It called ``sys.exit``, as ``argparse`` does.
    """
    try:
        yield
    except SystemExit as stop:
        raise InputValueError(
            f"{shorten(name)} exited while it was loaded ({stop.code!r}): it is a "
            "script. Put what it does when it is started under if __name__ == "
            "'__main__':, so that a program in it can be named; or use `afnio run` (or "
            "`afnio plan`) with the script and its arguments."
        ) from stop


def _refuse_namesakes(folder: Path) -> None:
    """Refuse a file whose imports would find modules of a file loaded before.

    Raises:
        InputValueError: Both folders have a module of one name.
    """
    files = {
        name: Path(file)
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None))
    }
    loaded = {file.parent for name, file in files.items() if name.startswith(_PREFIX)}
    for name, file in files.items():
        for before in loaded - {folder}:
            if name.startswith(_PREFIX) or not file.is_relative_to(before):
                continue
            twin = folder / file.relative_to(before)
            if twin != file and twin.is_file():
                raise InputValueError(
                    f"both {before} and {folder} have a module {name!r}, and Python "
                    "can only import one of them at a time; use two commands (of "
                    "evaluations: --out, then --baseline)."
                )


def _imported(name: str) -> ModuleType:
    _put_first(Path.cwd())
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputValueError(
            f"{shorten(name)!r} is neither a .py file nor a module's name; expected "
            "FILE.py:NAME or package.module:NAME."
        )
    try:
        with _exit_refused(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise InputValueError(
                f"there is no module {error.name!r} here, nor installed; to name a "
                "file, write its .py ending."
            ) from error
        raise


def _put_first(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _member(module: ModuleType, name: str, place: str) -> Any:
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            names = [n for n in vars(value) if not n.startswith("_")]
            raise InputValueError(
                f"{shorten(place)} has no {part!r}; {closest(part, names)}"
            )
        value = getattr(value, part)
    return value


def load_program(
    spec: str, make_model: Callable[[], Any] | None = None
) -> tuple[Any, dict[str, Any]]:
    """Return a program, and the arguments that it is to be called with.

    A class is made an instance of; a function without parameters is called, as it makes
    the program; everything else is the program.

    Args:
        spec: What the command line names.
        make_model: Returns a client, which is passed to the parameter of the class, the
            function or the program that is for one. It is called when the program's
            module is there, which may register the provider.

    Raises:
        InputTypeError: It needs arguments that nobody has, or cannot be called.
        InputValueError: It names nothing, or no parameter is for the model.
    """
    found = load_object(spec, DEFAULT_NAME)
    if not callable(found):
        raise InputTypeError(
            f"{spec} is {type(found).__name__}; expected a Module, a class or function "
            "that makes one, or another callable."
        )
    model = None if make_model is None else make_model()
    taken: dict[str, Any] = {}
    if _makes_one(found, has_model=model is not None):
        taken = _for_model(found, model)
        found = _made(found, spec, taken)
    if taken or model is None:
        return found, {}
    arguments = _for_model(getattr(found, "forward", found), model)
    if not arguments:
        raise InputValueError(
            f"--model: neither {spec} nor what it is called with has a parameter for a "
            f"model, such as {MODEL_NAMES[0]!r}; choose the model in the program."
        )
    return found, arguments


def _makes_one(found: Any, *, has_model: bool) -> bool:
    if isinstance(found, type):
        return True
    if not inspect.isfunction(found):
        return False
    params = set(inspect.signature(found).parameters)
    return not params or (has_model and params <= set(MODEL_NAMES))


def _made(
    maker: Callable[..., Any],
    spec: str,
    arguments: Mapping[str, Any],
    what: str = "the program",
) -> Any:
    try:
        inspect.signature(maker).bind(**arguments)
    except TypeError as error:
        raise InputTypeError(
            f"{spec} cannot be made without more arguments ({error}); name a function "
            f"without parameters that returns {what}."
        ) from error
    return maker(**arguments)


def _for_model(function: Any, model: Any) -> dict[str, Any]:
    if model is None:
        return {}
    params = inspect.signature(function).parameters
    names = [name for name in MODEL_NAMES if name in params]
    return {names[0]: model} if names else {}


def load_data(spec: str, limit: int | None = None) -> list[Any]:
    """Return the samples of a file, or of a data set in a module.

    Raises:
        MissingFileError: There is no such file.
        InputValueError: Nobody can read it.
        FileFormatError: The file is damaged.
    """
    samples = _samples(spec)
    return list(samples) if limit is None else list(samples)[:limit]


def _samples(spec: str) -> Iterator[Any]:
    from afnio.utils.datasets import CSVDataset, JSONLDataset

    readers: dict[str, Any] = {
        ".csv": CSVDataset,
        ".json": _json_list,
        ".jsonl": JSONLDataset,
        ".ndjson": JSONLDataset,
    }
    path = Path(spec)
    if reader := readers.get(path.suffix.lower()):
        if not path.is_file():
            raise MissingFileError(f"there is no data file {shorten(path)}.")
        return iter(reader(path))
    if ":" not in spec:
        raise InputValueError(
            f"nobody can read data from {shorten(spec)!r}; expected a file that ends "
            f"with {', '.join(sorted(readers))}, or FILE.py:NAME."
        )
    found = load_object(spec)
    if isinstance(found, type) or inspect.isfunction(found):
        found = _made(found, spec, {}, "the data")
    if not hasattr(found, "__iter__") and not hasattr(found, "__getitem__"):
        raise InputTypeError(
            f"{spec} is {type(found).__name__}; expected a list of samples or a data "
            "set."
        )
    return iter(found)


def _json_list(path: Path) -> list[Any]:
    import json

    from afnio.errors import FileFormatError

    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not JSON: {shorten(error)}.") from error
    if not isinstance(data, list):
        raise FileFormatError(
            f"{path} holds {type(data).__name__}; expected a list of samples."
        )
    return data
