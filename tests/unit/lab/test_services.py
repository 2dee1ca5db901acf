"""Decisions of the shop's services that need no server."""

from app.lab.services.identity import LOCK_AFTER, LOCK_S, Lockout
from app.lab.services.policy import Question, Subject, decide


def ask(action, roles, *, region="eu", own="eu", amount=100):
    return decide(
        Question(subject=Subject(id="u-1", roles=roles, region=own), action=action, region=region, amount_cents=amount)
    )


def test_policy_answers_with_its_reason_and_its_name():
    assert ask("order.create", ["customer"]) == ("allow", "", "orders.limit")
    decision, reason, policy = ask("order.create", ["customer"], amount=100_001)
    assert (decision, policy) == ("deny", "orders.limit")
    assert "wholesale" in reason
    assert ask("order.create", ["customer", "wholesale"], amount=100_001)[0] == "allow"


def test_refunds_are_for_support_of_the_same_region_up_to_a_limit():
    assert ask("order.refund", ["support"])[0] == "allow"
    assert ask("order.refund", ["customer"])[1] == "subject does not have role support"
    assert ask("order.refund", ["support"], region="us")[1] == "support of region eu may not refund in us"
    assert ask("order.refund", ["support"], amount=50_001)[0] == "deny"


def test_an_action_no_policy_knows_is_denied():
    assert ask("order.vanish", ["support", "admin"]) == ("deny", "no policy knows this action", "default.deny")


def test_an_account_locks_after_its_failures_and_opens_with_time():
    now = [1000.0]
    lockout = Lockout(lambda: now[0])
    for _ in range(LOCK_AFTER - 1):
        lockout.failed("u-1")
    assert not lockout.locked("u-1")
    lockout.failed("u-1")
    assert lockout.locked("u-1")
    assert not lockout.locked("u-2")
    now[0] += LOCK_S + 1
    assert not lockout.locked("u-1")


def test_a_success_forgets_the_failures_before_it():
    lockout = Lockout()
    for _ in range(LOCK_AFTER - 1):
        lockout.failed("u-1")
    lockout.succeeded("u-1")
    lockout.failed("u-1")
    assert not lockout.locked("u-1")
