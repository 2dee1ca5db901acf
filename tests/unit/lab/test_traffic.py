"""Ordinary visitors: the same from the same seed, rarely wrong, never many from one place."""

from collections import Counter
from itertools import islice

from app.lab import traffic, world
from app.lab.traffic import Step

PEOPLE = world.make(7)
DAY = 24 * 3600


def test_a_plan_repeats_and_another_seed_gives_another():
    assert list(traffic.plan(PEOPLE, 1, 600, 5)) == list(traffic.plan(PEOPLE, 1, 600, 5))
    assert list(traffic.plan(PEOPLE, 1, 600, 5)) != list(traffic.plan(PEOPLE, 2, 600, 5))


def test_visits_come_in_order_within_the_time_at_about_the_rate():
    visits = list(traffic.plan(PEOPLE, 1, DAY, 4))
    starts = [visit.start_s for visit in visits]
    assert starts == sorted(starts)
    assert 0 < starts[0] < starts[-1] < DAY
    assert 0.95 < len(visits) / (DAY / 60 * 4) < 1.05


def test_a_plan_without_end_can_be_taken_piece_by_piece():
    assert len(list(islice(traffic.plan(PEOPLE, 1, float("inf"), 10), 500))) == 500


def test_mistakes_are_occasional():
    steps = Counter(step for visit in traffic.plan(PEOPLE, 1, DAY, 4) for _, step in visit.steps)
    assert 0.02 < steps[Step.TYPO] / steps[Step.LOG_IN] < 0.12
    assert 0 < steps[Step.ADMIN_CLICK] < steps[Step.LOG_IN] * 0.05
    assert 0 < steps[Step.WRONG_LINK] < steps[Step.LOG_IN] * 0.05


def test_only_those_visit_whom_no_attack_goes_for():
    visitors = {visit.person for visit in traffic.plan(PEOPLE, 1, DAY, 4)}
    assert visitors <= {*PEOPLE.regulars, *PEOPLE.support}


def test_customers_come_from_networks_of_their_own():
    subnets = Counter(traffic.home_address(person, PEOPLE).rsplit(".", 1)[0] for person in PEOPLE.regulars)
    assert set(subnets.values()) == {1}
