"""The shop's people and goods come from the seed alone."""

from app.lab import world


def test_the_same_seed_gives_the_same_world_and_another_seed_another():
    assert world.make(7) == world.make(7)
    assert world.make(7).people != world.make(8).people


def test_nobody_shares_a_login_an_id_or_an_order():
    made = world.make(3)
    assert len({person.login for person in made.people}) == len(made.people)
    assert len({person.id for person in made.people}) == len(made.people)
    assert len({order.id for order in made.orders}) == len(made.orders)
    assert {order.customer for order in made.orders} == {*made.regulars, *made.quiet}


def test_exactly_one_customer_has_a_password_that_sprayers_try():
    made = world.make(7)
    common = [person for person in made.people if person.password in world.COMMON_PASSWORDS]
    assert common == [made.quiet[0]]


def test_a_user_hash_hides_the_case_of_the_login_and_depends_on_the_key():
    assert world.user_hash("Ada.Kovacs", "k1") == world.user_hash("ada.kovacs", "k1")
    assert world.user_hash("ada.kovacs", "k1") != world.user_hash("ada.kovacs", "k2")
    assert len(world.user_hash("ada.kovacs", "k1")) == 32
