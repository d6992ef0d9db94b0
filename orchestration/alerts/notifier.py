"""Sends an alert wherever the settings say: webhooks, e-mail and chats by Apprise, and always the log."""

import logging

import apprise

from expectations.card_numbers import mask_long_numbers

_logger = logging.getLogger("tollgate.alerts")


def notify(urls: list[str], title: str, body: str) -> bool:
    """Sends an alert; tells whether every receiver took it. Without receivers it goes to the log alone.

    An alert that does not go through never stops the work that it is about.

    Args:
        urls: Apprise URLs, such as `jsons://hooks.example.com/tollgate` or `mailto://user:password@example.com`.
        title: one line: what happened.
        body: where, why, and what to do. Long digit runs are masked.
    """
    body = mask_long_numbers(body)
    _logger.warning("%s: %s", title, body)
    receivers = apprise.Apprise()
    for url in urls:
        if not receivers.add(url):
            _logger.error("not an alert URL that Apprise knows: check TOLLGATE_NOTIFY_URLS")
    if len(receivers) == 0:
        return True
    sent = receivers.notify(title=title, body=body)
    if not sent:
        _logger.error("an alert did not go through: %s", title)
    return bool(sent)
