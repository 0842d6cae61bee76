"""Ready-made agents, small enough to read before writing your own."""

from afnio.utils.agents.react import ReAct
from afnio.utils.agents.retrieval import BM25Index, RetrievalQA
from afnio.utils.agents.sentiment_analyzer import SentimentAnalyzer

__all__ = ["BM25Index", "ReAct", "RetrievalQA", "SentimentAnalyzer"]
