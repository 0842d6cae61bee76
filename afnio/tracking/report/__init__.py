"""Reports: a run as one HTML page that opens offline, and a live view of it.

`write_report` writes the page, `serve` shows it while the run goes on, and
`read_summary` returns what a terminal prints. All three read the run's directory only,
so they work on runs that go on, were interrupted or have crashed.
"""

from typing import TYPE_CHECKING

from afnio._lazy import attach as _attach

if TYPE_CHECKING:
    from afnio.tracking.report._graph import graph_event
    from afnio.tracking.report._report import read_summary, write_report
    from afnio.tracking.report._server import LiveView, serve

__getattr__, __dir__ = _attach(
    __name__,
    {
        "LiveView": "afnio.tracking.report._server:LiveView",
        "graph_event": "afnio.tracking.report._graph:graph_event",
        "read_summary": "afnio.tracking.report._report:read_summary",
        "serve": "afnio.tracking.report._server:serve",
        "write_report": "afnio.tracking.report._report:write_report",
    },
)

__all__ = ["LiveView", "graph_event", "read_summary", "serve", "write_report"]
