"""The live view: this machine only, and as new as the run."""

import json
import socket
import urllib.error
import urllib.request

import pytest
from made_up import decision, step, write_run

from afnio.errors import FileFormatError, InputTypeError, InputValueError
from afnio.tracking.report import serve

pytestmark = pytest.mark.loopback


def get(url, **headers):
    """Return a reply's status, headers and text."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def test_follows_the_run(tmp_path):
    """The state grows with the log, and the page shows what was added."""
    run = write_run(tmp_path / "run", [step(1)], status="RUNNING")
    with serve(run) as view:
        before = get(f"{view.url}state")[2]
        assert "Be brief" not in get(view.url)[2]
        write_run(run, [step(1), decision(2), step(2)], status="COMPLETED")
        after = get(f"{view.url}state")[2]
        page = get(view.url)[2]
    assert json.loads(before)["status"] == "RUNNING"
    assert json.loads(after)["status"] == "COMPLETED"
    assert json.loads(after)["size"] > json.loads(before)["size"]
    assert "<ins>brief</ins>" in page


def test_an_unchanged_run_is_drawn_once(tmp_path, monkeypatch):
    """Many looks at a finished run cost no more than one."""
    with serve(write_run(tmp_path / "run", [step(1)])) as view:
        first = get(view.url)[2]
        monkeypatch.setattr("afnio.tracking.report._server.page_of", None)
        assert get(view.url)[2] == first


def test_page_may_talk_to_its_server_only(tmp_path):
    """The policy of the live page allows what polling needs."""
    with serve(write_run(tmp_path / "run", [])) as view:
        _, headers, page = get(view.url)
    assert "connect-src 'self'" in page
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_other_addresses_are_not_served(tmp_path):
    """No file of the run, and none beside it, can be asked for."""
    with serve(write_run(tmp_path / "run", [])) as view:
        for path in ("run.json", "../run.json", "%2e%2e/run.json", "state/x"):
            assert get(view.url + path)[0] == 404


def test_foreign_names_are_refused(tmp_path):
    """A page elsewhere whose name was made to point here gets nothing."""
    with serve(write_run(tmp_path / "run", [])) as view:
        assert get(view.url, Host="evil.example:80")[0] == 403
        assert get(view.url)[0] == 200


def test_a_run_that_is_gone_is_an_error_of_the_view_only(tmp_path):
    """The server goes on, so that a run that is moved back is shown again."""
    run = write_run(tmp_path / "run", [step(1)])
    with serve(run) as view:
        moved = run.rename(tmp_path / "moved")
        assert get(view.url)[0] == 503
        moved.rename(run)
        assert get(view.url)[0] == 200


def test_wrong_arguments_are_named(tmp_path):
    """What cannot be served is refused before anything listens."""
    run = write_run(tmp_path / "run", [])
    with pytest.raises(FileFormatError, match="is not a run"):
        serve(tmp_path)
    with pytest.raises(InputTypeError, match="port must be an int, got str"):
        serve(run, "80")
    with pytest.raises(InputValueError, match="expected 0 to 65535"):
        serve(run, 70_000)


def test_a_taken_port_is_named(tmp_path):
    """The message says which port, and what to do."""
    run = write_run(tmp_path / "run", [])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputValueError, match=f"port {port} cannot be used"):
            serve(run, port)


def test_closing_twice_does_nothing(tmp_path):
    """The port is free afterwards."""
    view = serve(write_run(tmp_path / "run", []))
    view.close()
    view.close()
    with pytest.raises(urllib.error.URLError):
        get(view.url)


def test_ctrl_c_ends_waiting(tmp_path, monkeypatch):
    """Waiting returns, and nothing is served any more."""
    view = serve(write_run(tmp_path / "run", []))

    def interrupt(_seconds):
        raise KeyboardInterrupt

    real = view._thread.join
    monkeypatch.setattr(
        view._thread, "join", lambda s=None: interrupt(s) if s else real()
    )
    view.wait()
    assert not view._thread.is_alive()
