"""What a lab says of a result that it can't check, and of an order that doesn't exist."""

import pytest

from notebooks import labs, reader


def test_a_result_that_cannot_be_checked_is_answered_with_what_the_lab_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise TypeError("'NoneType' object is not subscriptable")

    monkeypatch.setattr(reader, "the_stack", fail)

    labs.check("6.1", None)

    verdict = labs.verdicts["6.1"]
    assert not verdict.right
    assert verdict.hint.startswith("this could not be checked (")
    assert str(labs.LABS["6.1"].__doc__).partition("\n")[0] in verdict.hint


def test_a_lab_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    labs.check("1.2", None)

    assert labs.verdicts["1.2"].hint.startswith("there is no such lab. The labs are 1.1, 2.1")


@pytest.mark.parametrize("order_id", ["nonsense", None, 7])
def test_an_order_that_is_not_stored_cannot_be_followed(order_id: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "order", lambda _: {})

    with pytest.raises(LookupError, match="pass the orderId of the response to POST /orders"):
        reader.follow(order_id)  # type: ignore[arg-type]


def test_every_lab_says_in_a_sentence_what_it_checks() -> None:
    for name, grade in labs.LABS.items():
        assert (grade.__doc__ or "").partition("\n")[0].endswith("."), name
