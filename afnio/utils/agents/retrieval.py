"""An agent that answers from documents which it searches with BM25."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final, Self

import afnio.cognitive as cog
from afnio._text import fence, shorten
from afnio._variable import Variable
from afnio.cognitive._settings import limit
from afnio.errors import InputTypeError, InputValueError, MissingExtraError
from afnio.models import BaseModel
from afnio.utils.agents._answering import Answering
from afnio.utils.agents._prompts import (
    NOTHING_FOUND,
    QA_SEARCH,
    QA_SYSTEM,
)

__all__ = ["BM25Index", "RetrievalQA"]

_WORDS: Final = r"(?u)\b\w+\b"


class BM25Index:
    """Documents that can be searched by words; scores are BM25's.

    Words are compared without regard to case, and without stemming or a list of words
    to leave out, so it works for any language that puts spaces between words. Needs the
    extra ``afnio[retrieval]``.

    Args:
        documents: Texts; passages of a few sentences work best.

    Raises:
        InputTypeError: A document is no text.
        InputValueError: There is none, or no word in any.
        MissingExtraError: ``bm25s`` is not installed.

    Source: S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and
    Beyond, 2009, in the variant of Lucene, by the library bm25s (X. H. Lù, 2024,
    arXiv:2407.03618).

    Examples:
        >>> index = BM25Index(["Cats purr.", "Dogs bark at cats.", "Birds sing."])
        >>> [position for position, score in index.search("cats that bark", k=2)]
        [1, 0]
    """

    def __init__(self, documents: Iterable[str]) -> None:
        if isinstance(documents, (str, Mapping)) or not isinstance(documents, Iterable):
            raise InputTypeError(
                f"documents must be a list of texts, got {type(documents).__name__}."
            )
        self.documents = tuple(documents)
        for position, text in enumerate(self.documents):
            if not isinstance(text, str):
                raise InputTypeError(
                    f"documents[{position}] must be text, got {type(text).__name__}: "
                    f"{shorten(text)}."
                )
        words = self._tokens(self.documents)
        if not any(words):
            raise InputValueError(
                "there is nothing to search: documents holds no text with words."
            )
        self._index = _library().BM25()
        self._index.index(words, show_progress=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the index itself, which never changes."""
        return self

    def _tokens(self, texts: Iterable[str]) -> list[list[str]]:
        found: list[list[str]] = _library().tokenize(
            list(texts),
            token_pattern=_WORDS,
            stopwords=[],
            return_ids=False,
            show_progress=False,
        )
        return found

    def search(self, query: str, k: int = 3) -> list[tuple[int, float]]:
        """Return the best documents, best first: their positions and scores.

        Documents without any of the words are left out, so there may be fewer.

        Args:
            query: Words.
            k: How many, at most.
        """
        (words,) = self._tokens([query])
        known = [word for word in words if word in self._index.vocab_dict]
        if not known:
            return []
        found, scores = self._index.retrieve(
            [known],
            k=min(k, len(self.documents)),
            show_progress=False,
            backend_selection="numpy",
        )
        pairs = zip(found[0].tolist(), scores[0].tolist(), strict=True)
        ranked = [(int(n), float(score)) for n, score in pairs if score > 0]
        return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


class RetrievalQA(Answering):
    """Answer questions from documents, which the model searches as often as it needs.

    Learned are the system prompt (``instructions``) and the description of the search
    tool (``search_description``), which tells the model what words to search with.

    Args:
        documents: Texts to answer from, or a `BM25Index` of them.
        forward_model_client: Who answers; a call may name another.
        k: Passages that one search returns.
        max_turns: Model calls per question at most.
        **completion_args: Passed to the client.

    Model calls: 1 to ``max_turns`` per question.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> agent = RetrievalQA(["Cats purr."], ScriptedModel("They purr [0]."))
        >>> agent(inputs={"question": "What do cats do?"}).data
        'They purr [0].'
        >>> print(agent.search("cats"))
        [0]
        <passage>
        Cats purr.
        </passage>
    """

    def __init__(
        self,
        documents: Iterable[str] | BM25Index,
        forward_model_client: BaseModel | None = None,
        *,
        k: int = 3,
        max_turns: int = 6,
        **completion_args: Any,
    ) -> None:
        if not isinstance(documents, BM25Index):
            documents = BM25Index(documents)
        if limit("k", k) is None:
            raise InputValueError("k must be a positive int, got None.")
        tool = cog.Tool(
            self.search, cog.Parameter(QA_SEARCH, role="description of the search tool")
        )
        super().__init__(
            cog.Parameter(QA_SYSTEM, role="system prompt: how to search and answer"),
            [tool],
            forward_model_client,
            max_turns=max_turns,
            **completion_args,
        )
        self.index = documents
        self.k = k

    @property
    def search_description(self) -> Variable:
        """What tells the model when and how to search; learned.

        In ``state_dict`` it is ``agent.tools.search.description``.
        """
        return self.agent.tools["search"].description

    def search(self, query: str) -> str:
        """Return the passages that fit best, numbered and fenced.

        Args:
            query: Key words to look for.
        """
        found = self.index.search(query, self.k)
        passages = (f"[{n}]\n{fence(self._text(n), 'passage')}" for n, _ in found)
        return "\n".join(passages) or NOTHING_FOUND

    def _text(self, position: int) -> str:
        return self.index.documents[position]


def _library() -> Any:
    try:
        return import_module("bm25s")
    except ImportError as error:
        raise MissingExtraError(
            "searching documents needs bm25s: pip install 'afnio[retrieval]'"
        ) from error
