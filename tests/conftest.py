"""What every test gets: no network but loopback, no keys, and no deadlines."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import settings

settings.register_profile("afnio", deadline=None)
settings.load_profile("afnio")

_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def _refuse(address):
    host = address[0] if isinstance(address, tuple) else ""
    if isinstance(address, tuple) and not str(host).startswith(_LOOPBACK):
        pytest.fail(f"a test tried to reach the network: {address}")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """Let no test reach anything but loopback, or find a key."""
    for name in list(os.environ):
        if name.endswith("_API_KEY"):
            monkeypatch.delenv(name)

    def guarded(method):
        def call(self, address, *args):
            _refuse(address)
            return method(self, address, *args)

        return call

    for name in ("connect", "connect_ex"):
        method = getattr(socket.socket, name)
        monkeypatch.setattr(socket.socket, name, guarded(method), raising=False)
    look_up = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if host is not None:
            _refuse((host.decode() if isinstance(host, bytes) else host,))
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def _process_defaults():
    """Undo what a test, or a snippet of the docs, sets for the whole process."""
    from afnio.models import _budget, _cache, _roles

    defaults = (_budget._default, _cache._cache, _roles._setting)
    before = [setting._default for setting in defaults]
    yield
    for setting, value in zip(defaults, before, strict=True):
        setting._default = value
