"""Projects group runs."""

from __future__ import annotations

import pytest

from afnio.tracking import create_project, delete_project, get_project, init


def test_a_project_is_found_again():
    """By its slug or its name; a second creation returns the same one."""
    assert get_project("me", "my-project") is None
    made = create_project("me", "My Project", visibility="PUBLIC")
    assert (made.slug, made.visibility) == ("my-project", "PUBLIC")
    assert get_project("me", "my-project") == made
    assert create_project("me", "My Project") == made
    assert init("me", "My Project").project == made


def test_deleting_a_project_deletes_its_runs():
    """And only a project that is there can be deleted."""
    path = init("me", "P").path
    delete_project("me", "p")
    assert not path.exists()
    with pytest.raises(ValueError, match="nothing was deleted"):
        delete_project("me", "p")


@pytest.mark.parametrize("name", ["..", "/", ""])
def test_a_project_needs_a_name(name):
    """No name leads out of the folder of runs."""
    with pytest.raises(ValueError, match="no letter or digit"):
        delete_project("me", name)


def test_unknown_visibility():
    """The message lists the known ones."""
    with pytest.raises(ValueError, match="TEAM, PUBLIC"):
        create_project("me", "P", visibility="SECRET")


def test_a_foreign_file_is_refused(runs):
    """A project.json of somebody else is not ours to read."""
    (runs / "p").mkdir(parents=True)
    (runs / "p" / "project.json").write_text('{"format": "x"}', encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"project\.json"):
        get_project("me", "p")
