"""gepa in the simulated world."""

from __future__ import annotations

from typing import Any

from benchmarks._optim_server import Server, feedback, stopper
from benchmarks.simworld import score


def gepa(server: Server) -> None:
    """Run ``gepa.optimize`` with an adapter for the program."""
    import gepa as library  # type: ignore[import-not-found]
    from gepa.core.adapter import EvaluationBatch  # type: ignore[import-not-found]

    names = [f"prompt_{number}" for number in range(len(server.world.desks))]

    class Adapter:
        """Runs the program, and shows what happened."""

        propose_new_texts = None

        def evaluate(
            self, batch: Any, candidate: Any, capture_traces: bool = False
        ) -> Any:
            prompts = [candidate[name] for name in names]
            answers = [server.answer(prompts, item) for item in batch]
            scores = [
                float(score(answer, item.reference))
                for answer, item in zip(answers, batch, strict=True)
            ]
            traces = list(zip(batch, answers, strict=True)) if capture_traces else None
            return EvaluationBatch(outputs=answers, scores=scores, trajectories=traces)

        def make_reflective_dataset(
            self, candidate: Any, eval_batch: Any, components_to_update: Any
        ) -> Any:
            del candidate
            rows = [
                {
                    "Inputs": item.request,
                    "Generated Outputs": answer,
                    "Feedback": feedback(answer, item),
                }
                for item, answer in eval_batch.trajectories
            ]
            return dict.fromkeys(components_to_update, rows)

    result = library.optimize(
        seed_candidate=dict(zip(names, server.world.seed_prompts, strict=True)),
        trainset=server.world.train,
        valset=server.world.val,
        adapter=Adapter(),
        reflection_lm=lambda prompt: _said(server, prompt),
        max_metric_calls=server.budget,
        stop_callbacks=[stopper(server, names)],
        raise_on_exception=False,
        seed=server.world.seed,
        display_progress_bar=False,
    )
    server.note([result.best_candidate[name] for name in names])


def _said(server: Server, prompt: Any) -> str:
    if isinstance(prompt, str):
        return server.say("rewriter", prompt)
    return server.ask("rewriter", prompt)
