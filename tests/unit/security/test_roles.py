import pytest

from app.errors import Forbidden
from app.security.roles import DOING, Permission, Person, Role, allows, least_role, require


def somebody(role: Role, name: str = "Ines Varga") -> Person:
    return Person("1", "ines.varga", name, role)


def test_each_role_may_all_that_a_lesser_one_may():
    granted = [{one for one in Permission if allows(role, one)} for role in (Role.VIEWER, Role.ANALYST, Role.ADMIN)]
    assert granted[0] < granted[1] < granted[2] == set(Permission)


def test_a_viewer_only_reads():
    assert [one for one in Permission if allows(Role.VIEWER, one)] == [Permission.READ]


def test_a_refusal_names_the_roles_that_may():
    with pytest.raises(Forbidden) as caught:
        require(somebody(Role.VIEWER), Permission.CASE_EXPORT)
    assert caught.value.sentence == "A viewer cannot export cases. Analysts and admins can."
    assert caught.value.needs == "analyst"
    with pytest.raises(Forbidden, match=r"^An analyst cannot manage people\. Admins can\.$"):
        require(somebody(Role.ANALYST), Permission.USER_MANAGE)


def test_every_permission_has_its_words_and_a_least_role():
    assert set(DOING) == set(Permission)
    assert [least_role(one) for one in (Permission.READ, Permission.CASE_WRITE, Permission.AUDIT_READ)] == list(Role)


@pytest.mark.parametrize(
    ("name", "initials"),
    [("Ines Varga", "IV"), ("ines.varga", "IV"), ("mallory", "M"), ("Ana de la Cruz", "AC"), ("…", "?"), ("", "?")],
)
def test_initials(name, initials):
    assert somebody(Role.VIEWER, name).initials == initials
