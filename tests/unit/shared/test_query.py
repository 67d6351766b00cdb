"""The query of a request for a list: what is misspelt is refused, with what may be asked, never repeating it."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request

from shared.http.query import LARGEST, Query, QueryRefused

STATES = ("open", "shut")


def asked(query: str) -> Query:
    return Query(Request({"type": "http", "query_string": query.encode(), "headers": []}), "state", "limit", "name")


def test_what_is_said_is_read_and_what_is_not_said_is_none_of_it() -> None:
    query = asked("state=shut&limit=007&name=a%20b")
    assert (query.one_of("state", STATES), query.number("limit", 100), query.text("name")) == ("shut", 7, "a b")
    nothing = asked("")
    assert (nothing.one_of("state", STATES), nothing.number("limit", 100), nothing.text("name")) == (None, 100, None)
    assert nothing.some_of("state", STATES) == ()
    assert asked("state=shut,open").some_of("state", STATES) == ("shut", "open")
    assert asked("name=").text("name", may_be_empty=True) == ""
    assert asked(f"limit={LARGEST}").number("limit", 100) == LARGEST


@pytest.mark.parametrize(
    ("query", "read", "told"),
    [
        ("stat=open", lambda _: None, "the query may have state, limit, name, and nothing else"),
        ("limit=1&limit=2", lambda _: None, "each parameter is to be said once"),
        ("state=Open", lambda query: query.one_of("state", STATES), "state is one of open, shut"),
        ("state=", lambda query: query.one_of("state", STATES), "state is one of open, shut"),
        ("state=open,", lambda query: query.some_of("state", STATES), "state is one or more of open, shut"),
        ("state=", lambda query: query.some_of("state", STATES), "state is one or more of open, shut"),
        ("name=", lambda query: query.text("name"), "name is empty"),
        *(
            (f"limit={wrong}", lambda query: query.number("limit", 1, 1, 500), "limit is a whole number from 1 to 500")
            for wrong in ("0", "501", "-1", "+1", "1e2", "", "%C2%B2", "%D9%A3", "9" * 5000)
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(query: str, read: Callable[[Query], Any], told: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        read(asked(query))
    assert str(refused.value).startswith(told)
