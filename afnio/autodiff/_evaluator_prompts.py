"""The words of evaluators' feedback and requests; user text is always fenced."""

from __future__ import annotations

from typing import Final

REGEX_FEEDBACK: Final = """\
The regular expression evaluation of this {role} gave a score of {score}.
Got: {prediction}
Expected: text {relation} the regular expression {pattern}
Correct what decides about the form of the {role}, so that it fits."""

JSON_FEEDBACK: Final = """\
This {role} does not fit the expected form: {schema}.
Got: {prediction}
Errors, each after the place where it is:
{errors}
Correct what decides about the form of the {role}, so that it is one JSON value that \
fits, and nothing else."""

PAIRWISE_FEEDBACK: Final = """\
A judge compared this {role} with a reference answer and did not prefer it.
{rounds}
Work out what made the reference as good or better, and correct what led to that."""

PAIRWISE_ROUND: Final = "Shown as the {place} answer it {outcome}: {explanation}"

PAIRWISE_REPAIR: Final = """\
That answer cannot be used: {reason}
Answer again with one JSON object with the keys "winner" and "explanation", where \
winner is "first", "second" or "tie", and nothing before or after it."""

WINNER: Final = 'Which answer is better: "first", "second", or "tie".'
WHY: Final = "Why, naming what decided; written before the decision."
RANGE: Final = "A number from {low} (worst) to {high} (best)."
"""What the fields of a verdict are, in its schema."""
