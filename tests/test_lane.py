"""The user lane: one job at a time, lowest order first, stepping aside to wait."""

from __future__ import annotations

import threading

from afnio._lane import Lane


def test_one_at_a_time_lowest_order_first():
    """Jobs that queue up while one runs are served by order, then by arrival."""
    lane, begun, go, done = (
        Lane(),
        threading.Event(),
        threading.Event(),
        threading.Event(),
    )
    seen = []

    def first():
        begun.set()
        go.wait()

    lane.submit(first)
    begun.wait()
    for order in (3, 1, 2, 1):
        lane.submit(lambda order=order: seen.append(order), order)
    lane.submit(done.set, 9)
    go.set()
    done.wait()
    assert seen == [1, 1, 2, 3]


def test_stepping_aside():
    """While a job waits inside ``aside`` another runs; they never overlap."""
    lane, answer, done = Lane(), threading.Event(), threading.Event()
    running, most = 0, 0

    def enter():
        nonlocal running, most
        running += 1
        most = max(most, running)

    def leave():
        nonlocal running
        running -= 1

    def asker():
        nonlocal running
        enter()
        leave()
        with lane.aside():
            answer.wait()
        enter()
        leave()
        done.set()

    def answerer():
        enter()
        answer.set()
        leave()

    lane.submit(asker)
    lane.submit(answerer)
    done.wait()
    assert most == 1


def test_aside_outside_the_lane_does_nothing():
    """Other threads may use it as well."""
    lane = Lane()
    with lane.aside():
        assert not lane.is_member()


def test_a_thread_is_used_again():
    """Jobs that come one after the other share a thread."""
    lane, names = Lane(), set()
    for _ in range(20):
        done = threading.Event()

        def job(done=done):
            names.add(threading.current_thread().ident)
            done.set()

        lane.submit(job)
        done.wait()
    assert len(names) <= 2
