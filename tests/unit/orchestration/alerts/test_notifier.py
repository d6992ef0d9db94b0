"""Alerts: always to the log, to receivers where there are some, and never in the way of the work."""

import logging
from typing import Any

import apprise
import pytest

from orchestration.alerts.notifier import notify
from tests.support.card_data import VISA, grouped


@pytest.fixture(autouse=True)
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What was logged, by us and by Apprise, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog


class Receivers:
    """Stands for the network: notes what would go out."""

    def __init__(self, answer: bool = True):
        self.answer, self.sent = answer, []

    def __call__(self, receivers: apprise.Apprise, **message: Any) -> bool:
        self.sent.append(([server.url(privacy=True) for server in receivers], message))
        return self.answer


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Receivers:
    found = Receivers()
    monkeypatch.setattr(apprise.Apprise, "notify", lambda self, **message: found(self, **message))
    return found


def own_lines(records: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in records.records if record.name == "tollgate.alerts"]


def test_without_receivers_it_goes_to_the_log(records, network: Receivers):
    assert notify([], "the chunker has stopped", "no such log - restore it")
    assert own_lines(records) == ["the chunker has stopped: no such log - restore it"]
    assert network.sent == []


def test_with_receivers_it_goes_to_the_log_and_to_all_of_them(records, network: Receivers):
    assert notify(["json://one.example.com", "json://two.example.com"], "title", "body")
    ((urls, message),) = network.sent
    assert len(urls) == 2 and message == {"title": "title", "body": "body"}
    assert own_lines(records) == ["title: body"]


@pytest.mark.parametrize("spelling", [VISA, grouped(VISA, " "), grouped(VISA, "-"), "0" * 30])
def test_long_numbers_are_masked_in_the_log_and_on_the_way_out(records, network: Receivers, spelling: str):
    notify(["json://one.example.com"], "title", f"row with {spelling} in it")
    ((_, message),) = network.sent
    assert spelling not in records.text + message["body"]
    assert "row with <" in message["body"] and "digits> in it" in message["body"]


def test_a_url_that_nobody_knows_is_logged_and_not_raised(records, network: Receivers):
    assert notify(["carrier-pigeon://user:secret@loft", "json://one.example.com"], "title", "body")
    assert len(network.sent) == 1, "the other one gets it"
    assert any("not an alert URL" in line for line in own_lines(records))
    assert "secret" not in "".join(own_lines(records))


@pytest.mark.parametrize("url", ["", "nonsense", "://", "carrier-pigeon://loft", "mailto://"])
def test_nor_does_any_other_text(records, network: Receivers, url: str):
    assert notify([url], "title", "body"), "there is no receiver, and it is in the log"
    assert own_lines(records)[0] == "title: body" and network.sent == []


def test_an_alert_that_does_not_go_through_is_logged_and_not_raised(records, network: Receivers):
    network.answer = False
    assert not notify(["json://one.example.com"], "title", "body")
    assert own_lines(records)[-1] == "an alert did not go through: title"


def test_a_receiver_that_cannot_be_reached_is_logged_and_not_raised(records):
    """Port 1 of this machine: nobody listens there."""
    assert not notify(["json://127.0.0.1:1/hook"], "title", "body")
    assert own_lines(records)[-1] == "an alert did not go through: title"
