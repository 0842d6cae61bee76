"""Scripts for `ScriptedModel`: what the models of an optimizer would reply."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models._keys import canonical
from afnio.models._messages import Messages
from afnio.models._structured import json_schema

Script: TypeAlias = Callable[..., str]
"""Called as ``script(messages, **args)``."""

_ASKED_TAG: Final = re.compile(
    r"^<([\w-]+)>\nthe complete new text\n</\1>$", re.MULTILINE
)
_FENCED: Final = re.compile(r"<(\w+)>\n(.*?)\n</\1>", re.DOTALL)
"""A text between tags; those inside it are its own."""
_FILLER: Final = "As scripted."


def text_of(message: Mapping[str, Any]) -> str:
    """Return the content of a message, blocks as JSON."""
    content = message.get("content")
    return content if isinstance(content, str) else canonical(content)


def in_tags(text: str) -> Script:
    r"""Return a script that answers an optimizer's every request with ``text``.

    Optimizers ask for the new text between tags of their own choice, new ones in each
    request; the script reads them there.

    Raises:
        StateError: (by the model) A request asks for no text between tags.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> request = "Answer so:\n<new>\nthe complete new text\n</new>"
        >>> model = ScriptedModel(in_tags("Be brief."))
        >>> model.chat([{"role": "user", "content": request}])
        '<new>\nBe brief.\n</new>'
    """

    def answer(messages: Messages, **_args: Any) -> str:
        if (tag := _asked_tag(messages)) is not None:
            return _between(tag, text)
        raise StateError(
            "in_tags() answers requests for a new text between tags; this one ends in: "
            f"{shorten(text_of(messages[-1]))!r}"
        )

    return answer


def _asked_tag(messages: Messages) -> str | None:
    """Return the tag between which a new text is asked for, the latest one."""
    for message in reversed(messages):
        if asked := _ASKED_TAG.findall(text_of(message)):
            return str(asked[-1])
    return None


def _between(tag: str, text: str) -> str:
    return f"<{tag}>\n{text}\n</{tag}>"


def edits(*changes: str | tuple[str, str]) -> str:
    r"""Return the reply of an optimizer's model that proposes edits.

    Args:
        *changes: A text to add at the end, or a pair of what to replace and by what; an
            empty replacement deletes.

    Raises:
        InputValueError: There is none.
        InputTypeError: One is neither.

    Examples:
        >>> edits("Be brief.")
        '{"edits": [{"action": "add", "find": "", "text": "Be brief."}]}'
        >>> from afnio.models.testing import ScriptedModel
        >>> model = ScriptedModel(edits(("kind", "polite"), ("Shout.", "")))
    """
    if not changes:
        raise InputValueError("edits() needs at least one edit.")
    return json.dumps({"edits": [_as_edit(change) for change in changes]})


def _as_edit(change: Any) -> dict[str, str]:
    if isinstance(change, str):
        return {"action": "add", "find": "", "text": change}
    pair = list(change) if isinstance(change, (tuple, list)) else []
    if [type(part) for part in pair] != [str, str]:
        raise InputTypeError(
            "an edit is a text to add, or a pair (find, replacement); got "
            f"{type(change).__name__}: {shorten(change)}."
        )
    find, text = pair
    return {"action": "replace" if text else "delete", "find": find, "text": text}


def feedback(text: str) -> Script:
    """Return a script that answers every critic request with ``text`` on each input.

    A request for a JSON object gets one with ``text`` under each required key; any
    other request gets ``text`` itself. Empty text means: nothing to improve.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> schema = {"type": "object", "required": ["input_1"]}
        >>> wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
        >>> model = ScriptedModel(feedback("Be brief."))
        >>> question = [{"role": "user", "content": "What is wrong?"}]
        >>> model.chat(question, response_format=wanted)
        '{"input_1": "Be brief."}'
    """

    def answer(_messages: Messages, **args: Any) -> str:
        schema = json_schema(args.get("response_format"))
        if schema is None:
            return text
        names = schema.get("required", ())
        return json.dumps(dict.fromkeys(names, text), ensure_ascii=False)

    return answer


# -- rewrites ------------------------------------------------------------------------


def rewriting(change: Callable[[str], str]) -> Script:
    r"""Return a script that rewrites every text as ``change(current text)`` says.

    It serves every optimizer: it replies in the form that the request asks for. That is
    the new text between tags (`TGD`, `GEPA`, `OPRO`, …), edits (`PatchTGD`), the values
    of several parameters (`OptoPrime`), or a rule (`SIMBA`, where ``change`` has to add
    something at the end). Other questions of optimizers in JSON, such as what is wrong
    with a text, get a filler under each key.

    Args:
        change: Returns the new text. One that an optimizer cannot use, such as the text
            as it was, is refused as a real model's would be.

    Raises:
        InputTypeError: ``change`` is no function; or (by the model) it returns no text.
        StateError: (by the model) A request is no optimizer's, or asks for a rule, and
            ``change`` does not add to the text.

    Examples:
        >>> from afnio import Variable
        >>> from afnio.models.testing import ScriptedModel
        >>> from afnio.optim import TGD
        >>> prompt = Variable("Greet them.", "system prompt", requires_grad=True)
        >>> prompt.append_grad(Variable("It does not use names."))
        >>> model = ScriptedModel(rewriting(lambda text: f"{text} Use their name."))
        >>> TGD([prompt], model).step()
        >>> prompt.data
        'Greet them. Use their name.'
    """
    if not callable(change):
        raise InputTypeError(
            "rewriting() takes a function from the current text to the new one, got "
            f"{type(change).__name__}: {shorten(change)}. in_tags() takes one text."
        )

    def changed(text: str) -> str:
        new = change(text)
        if not isinstance(new, str):
            raise InputTypeError(
                f"the function given to rewriting() returned {type(new).__name__} for "
                f"{shorten(text)!r}; expected the new text."
            )
        return new

    def answer(messages: Messages, **args: Any) -> str:
        schema = json_schema(args.get("response_format"))
        said = "\n".join(map(text_of, messages))
        if schema is not None:
            return json.dumps(_in_json(schema, said, changed), ensure_ascii=False)
        current, tag = _fenced("current_", said), _asked_tag(messages)
        if tag is not None and current:
            return _between(tag, changed(current[0]))
        raise StateError(
            "rewriting() answers requests of optimizers; this one shows no current "
            f"text, or asks for none: {shorten(text_of(messages[-1]))!r}"
        )

    return answer


def _fenced(kind: str, text: str) -> list[str]:
    """Return what stands between tags of a kind, but for those inside other tags."""
    return [held for tag, held in _FENCED.findall(text) if tag.startswith(kind)]


def _in_json(
    schema: Mapping[str, Any], said: str, changed: Callable[[str], str]
) -> Any:
    """Return the object that a request asks for."""
    asked, current = set(schema.get("properties", ())), _fenced("current_", said)
    if parameters := _fenced("parameter", said) if "values" in asked else []:
        named = [text.partition(":\n") for text in parameters]
        values = [
            {"name": name, "value": changed(inner[0])}
            for name, _, text in named
            if (inner := _fenced("current_", text))
        ]
        return {"reasoning": _FILLER, "values": values}
    if "edits" in asked and current:
        old, new = current[0], changed(current[0])
        change = (old, new) if old.strip() else new
        return {"edits": [_as_edit(change)]}
    if asked == {"rule"} and current:
        return {"rule": _added(current[0].rstrip(), changed(current[0]))}
    return _filled(schema)


def _added(old: str, new: str) -> str:
    rule = new.removeprefix(old).strip()
    if not new.startswith(old) or not rule:
        raise StateError(
            "this request asks for a rule to add to the text, so the function given to "
            "rewriting() has to return the text with something added at its end; got "
            f"{shorten(new)!r} for {shorten(old)!r}."
        )
    return rule


def _filled(schema: Mapping[str, Any]) -> Any:
    """Return something that fits a schema: of an enum, the last value."""
    if "enum" in schema:
        return schema["enum"][-1]
    if "properties" in schema:
        return {name: _filled(held) for name, held in schema["properties"].items()}
    plain = {"array": [], "integer": 0, "number": 0, "boolean": False, "null": None}
    return plain.get(str(schema.get("type")), _FILLER)
