"""What groups at the provider of sign-ins make of an account, and what they leave alone."""

import pytest
from sqlalchemy import select

from app.core.project_settings import ProjectSettings
from app.loop.accounts import create_token
from app.loop.group_roles import apply_groups, group_roles
from app.loop.life_cycle import rename_project
from app.loop.members import projects_of, set_member
from app.loop.projects import create_project
from app.store import Account, Project, Role


@pytest.fixture
def ann(database):
    with database.writing() as session:
        for name in ("brain", "mine"):
            create_project(session, name, ProjectSettings())
        session.add(Account(name="ann", role=None))


def signs_in(database, mapping, *groups):
    """Her role in the installation, and in projects."""
    with database.writing() as session:
        account = session.scalars(select(Account).where(Account.name == "ann")).one()
        apply_groups(session, account, groups, group_roles(mapping))
        session.flush()
        return account.role, projects_of(session, account)


def test_a_project_that_was_renamed_is_still_meant(database, ann):
    mapping = {"neuro": "brain:reviewer"}
    assert signs_in(database, mapping, "neuro") == (None, [("brain", Role.REVIEWER)])
    with database.writing() as session:
        brain = session.scalars(select(Project).where(Project.name == "brain")).one()
        rename_project(session, brain, "brain-2026", None)
    assert signs_in(database, mapping) == (None, [])
    assert signs_in(database, mapping, "neuro") == (None, [("brain-2026", Role.REVIEWER)])
    with database.writing() as session:
        create_project(session, "brain", ProjectSettings())
    # The name is another's by now: that one is meant, and the first stays as it was.
    expected = [("brain", Role.REVIEWER), ("brain-2026", Role.REVIEWER)]
    assert signs_in(database, mapping, "neuro") == (None, expected)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.ANNOTATOR])
def test_leaving_a_group_takes_what_the_group_gave_and_nothing_else(database, ann, role):
    with database.writing() as session:
        mine = session.scalars(select(Project).where(Project.name == "mine")).one()
        set_member(session, mine, "ann", Role.REVIEWER, None)
        create_token(session, "root", Role.ADMIN)
    mapping = {"it": role.value}
    signs_in(database, mapping, "it")
    with database.writing() as session:
        account = session.scalars(select(Account).where(Account.name == "ann")).one()
        assert account.role is role
        if role is Role.ANNOTATOR:
            set_member(session, mine, "ann", Role.REVIEWER, None)
    assert signs_in(database, mapping) == (None, [("mine", Role.REVIEWER)])


def test_the_last_admin_who_gets_in_stays_one_though_no_group_says_so(database, ann):
    with database.writing() as session:
        # One without a token, a password or a link to the provider is none to rely on.
        session.add(Account(name="root", role=Role.ADMIN))
    signs_in(database, {"it": "admin"}, "it")
    assert signs_in(database, {"it": "admin"})[0] is Role.ADMIN
    with database.writing() as session:
        create_token(session, "chief", Role.ADMIN)
    assert signs_in(database, {"it": "admin"})[0] is None
