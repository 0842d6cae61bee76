"""Saving and loading: versioned JSON, plain or zipped, written atomically, no pickle.

A name that ends with ``.json`` gives a file that any editor shows, every other name a
ZIP archive around the same text (``unzip -p agent.hf``). Loading looks at the contents
and runs none of them, so a file from anywhere can be loaded safely:

    afnio.save({"epoch": 3, "agent_state_dict": agent.state_dict()}, "best.json")
    checkpoint = afnio.load("best.json")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from afnio._state.archive import (
    File,
    FileObjectError,
    NotAnArchiveError,
    is_plain,
    named,
    pack,
    read_file,
    read_member,
    unpack,
    write_file,
)
from afnio._state.decode import decode
from afnio._state.encode import encode
from afnio._state.format import (
    FORMAT,
    MAX_BYTES,
    REGISTRY,
    VERSION,
    SavedFunction,
    StateType,
)
from afnio._state.text import write_json
from afnio._version import __version__
from afnio.errors import FileFormatError

__all__ = [
    "FileObjectError",
    "NotAnArchiveError",
    "SavedFunction",
    "load",
    "load_legacy",
    "register_dataclass",
    "register_type",
    "save",
]

T = TypeVar("T")


def save(obj: Any, f: File, pickle_protocol: int | None = None) -> None:
    """Save ``obj`` so that `load` returns an equal one.

    Files hold ``None``, text, numbers, lists, tuples, dicts with any keys,
    ``OrderedDict`` (with a state dict's ``_metadata``), Variables, and registered types
    such as Parameter. What occurs twice in ``obj`` is one object again after loading.
    Variables keep data, role, ``requires_grad``, ``grad`` and evidence; evidence that
    cannot be saved is replaced by the name of its type. Three things change:

    - A Variable that is not a leaf is saved as `Variable.detach` returns it, without
      its graph.
    - Functions and classes are saved by import path and load as `SavedFunction`.
    - Subclasses of str, int and float load as the plain type.

    Args:
        obj: What to save. Pending Variables in it are waited for.
        f: A path, written completely or not at all, or a binary file object. A path
            that ends with ``.json`` gets plain JSON, everything else a ZIP archive.
        pickle_protocol: Ignored; programs for the documented system may pass it.

    Raises:
        InputTypeError: Something in ``obj`` cannot be saved; the message says where.
        InputValueError: ``obj`` nests deeper than 100 levels.
        FileObjectError: ``f`` is neither a path nor a binary file object.

    Examples:
        >>> import io, afnio
        >>> file = io.BytesIO()
        >>> save({"prompt": afnio.Variable("Be brief.", "system prompt")}, file)
        >>> load(io.BytesIO(file.getvalue()))["prompt"].data
        'Be brief.'
    """
    del pickle_protocol
    state, types = encode(obj)
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    document["afnio"] = __version__
    document |= {"types": types, "state": state}
    write_file(f, write_json(document) if is_plain(f) else pack(document))


def load(f: File, *, max_bytes: int = MAX_BYTES) -> Any:
    """Load what `save` has written; nothing in the file is imported or run.

    Whether it is plain JSON or an archive is seen from its contents, not its name.

    Args:
        f: A path or a binary file object, read from where it stands.
        max_bytes: Refuse files that hold more, before the memory is used.

    Raises:
        MissingFileError: There is no such file.
        FileFormatError: The file is foreign, damaged, too large, from a newer afnio, or
            holds a type that is not registered.
        NotAnArchiveError: It is neither a ZIP archive nor JSON; also a
            `zipfile.BadZipFile`.
    """
    with named(f):
        document = unpack(read_file(f, max_bytes), max_bytes)
        types = document.get("types")
        if "state" not in document or not isinstance(types, dict):
            raise FileFormatError(
                "the file is damaged: its state or types are missing."
            )
        return decode(document["state"], types)


def load_legacy(f: File, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a pickle-based ``.hf`` file of the documented system, running nothing.

    Only inert types are understood: Variables and Parameters, dicts, lists, sets,
    tuples, text and numbers. Functions load as `SavedFunction`. Save the result with
    `save` to be done with pickles.

    Raises:
        FileFormatError: The file is damaged, or would build anything else.
    """
    from afnio._state.legacy_values import read_pickle

    with named(f):
        payload = read_file(f, max_bytes)
        return read_pickle(read_member(payload, "data.pkl", max_bytes))


def register_type(
    tag: str,
    cls: type[T],
    to_state: Callable[[T], Any],
    from_state: Callable[[Any], T],
) -> None:
    """Let objects of exactly the class ``cls`` take part in saved files.

    Call it where the class is defined. A file names that module, so that loading it
    elsewhere can say what to import.

    Args:
        tag: The type's name in files; never change it.
        cls: The class; subclasses need their own entry.
        to_state: Returns values that files can hold.
        from_state: Builds the object again; it is given data that nobody trusts.

    Raises:
        InputTypeError: ``cls`` is not a class, or a function cannot be called.
        InputValueError: The tag belongs to another class.
    """
    REGISTRY.add(StateType(tag, cls, to_state, from_state))


def register_dataclass(tag: str, cls: type[T]) -> None:
    """Let a dataclass take part in saved files, field by field."""
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]

    def to_state(value: T) -> dict[str, Any]:
        return {name: getattr(value, name) for name in names}

    register_type(tag, cls, to_state, lambda state: cls(**state))
