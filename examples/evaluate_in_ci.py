"""Fail a pull request that makes a program worse.

    python examples/evaluate_in_ci.py                          # writes the baseline
    python examples/evaluate_in_ci.py                          # compares: passes
    python examples/evaluate_in_ci.py --prompt "How urgent?"   # compares: exit code 1

Commit the baseline; CI runs the second line. It writes JUnit XML, which CI systems
show. With replies on record (see replay_in_ci.py) the result does not depend on chance.
"""

from __future__ import annotations

import sys
from pathlib import Path

from _models import choose_models, model_options

import afnio.cognitive.functional as F
from afnio import Variable
from afnio.evaluation import Evaluation, Thresholds, evaluate, junit_xml

BASELINE, REPORT = Path("urgency_baseline.json"), Path("urgency_junit.xml")
DATA = [
    {"message": "There is a fire in the kitchen!", "target": "high"},
    {"message": "Water is coming through the ceiling.", "target": "high"},
    {"message": "The lift is stuck with a person in it.", "target": "high"},
    {"message": "Could you send me last month's invoice?", "target": "low"},
    {"message": "The hall looks lovely, thank you.", "target": "low"},
    {"message": "When do you open on Saturday?", "target": "low"},
]


def play(messages, **_):
    """Play a model that adds a few words unless it is told not to."""
    task, message = messages[0]["content"], messages[-1]["content"]
    word = "high" if "fire" in message or "stuck" in message else "low"
    return word if "one word" in task else f"The urgency is {word}."


parser = model_options()
parser.add_argument("--prompt", default="How urgent? Answer in one word: high or low.")
options = parser.parse_args()
(model,) = choose_models(play, options=options)
task = Variable(options.prompt, role="system prompt")


def urgency(message):
    """Return how urgent a message is: the program under test."""
    messages = [
        {"role": "system", "content": [task]},
        {"role": "user", "content": [Variable("{message}", role="message")]},
    ]
    return F.chat_completion(model, messages, {"message": message}, temperature=0)


result = evaluate(urgency, DATA, "match", name=options.prompt)
print(result)
baseline = Evaluation.load(BASELINE) if BASELINE.exists() else None
if baseline is None:
    print(f"baseline written to {result.save(BASELINE)}; commit it")
else:
    print(result.compare(baseline))

checks = Thresholds(min_score=0.7, max_regression=0.0).check(result, baseline)
REPORT.write_text(junit_xml(result, checks), encoding="utf-8")
for check in checks:
    print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.message}")
sys.exit(0 if all(check.passed for check in checks) else 1)
