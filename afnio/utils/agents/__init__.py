"""Ready-made agents, small enough to read before writing your own."""

from afnio.utils.agents.sentiment_analyzer import SentimentAnalyzer

__all__ = ["SentimentAnalyzer"]
