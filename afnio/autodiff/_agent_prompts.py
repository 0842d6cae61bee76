"""What an agent's loop says to the model. Snapshot-tested; foreign text is fenced."""

from __future__ import annotations

from typing import Final

LAST_TURN: Final = """\
This is your last turn: tools are switched off now. Answer with what you have, and say \
what is missing."""

UNKNOWN_TOOL: Final = "There is no tool {name}; {hint} Nothing was run."

BAD_ARGUMENTS: Final = """\
The arguments of this call of {name} cannot be used, and nothing was run:
{problems}
Call it again with arguments that fit its schema."""

CUT_OFF: Final = """\
Your reply was cut off at its maximum length, so this call of {name} may be incomplete \
and was not run. Call it again with shorter arguments."""

TOO_MANY: Final = """\
Not run: a turn may hold {limit} calls, and this one came after them. Call it again in \
your next turn if it is still needed."""

TOOL_FAILED: Final = "The tool {name} failed with {error}"

TOOL_TIMED_OUT: Final = """\
The tool {name} gave no result within {seconds} seconds and was given up. It may \
still be at work."""

ATTACHED: Final = "({kind}: see attachment {number} of this message)"

ATTACHMENT: Final = "Attachment {number}, returned by a tool:"

NO_RESULT: Final = "(done; the tool returned nothing)"
