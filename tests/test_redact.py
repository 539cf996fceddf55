"""Credentials in botocore's own debug records: gone before any handler sees them."""

import logging

import pytest

from async_s3copy.s3.redact import redact_debug_logs

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY=="

RECORDS = [
    (
        "botocore.auth",
        "CanonicalRequest:\n%s",
        f"GET\nhost:h\nx-amz-security-token:{SECRET}\n\nhost",
    ),
    (
        "botocore.endpoint",
        "Sending: %s",
        f"headers={{'X-Amz-Security-Token': b'{SECRET}', 'A': b''}}",
    ),
    (
        "botocore.endpoint",
        "Sending: %s",
        f"'Authorization': b'AWS4 Credential={SECRET}/20260101/x'",
    ),
    ("botocore.endpoint", "with params: %s", f"{{'body': {{'ExternalId': '{SECRET}', 'x': 1}}}}"),
    ("botocore.endpoint", "body %s", f"Action=AssumeRole&ExternalId={SECRET}&Version=1"),
    (
        "botocore.parsers",
        "Response body:\n%r",
        f"<SecretAccessKey>{SECRET}</SecretAccessKey>".encode(),
    ),
    ("botocore.parsers", "Response body:\n%r", f"<SessionToken>{SECRET}</SessionToken>".encode()),
    ("botocore.parsers", "Response body:\n%s", f'{{"accessToken": "{SECRET}", "expiresIn": 5}}'),
]


@pytest.mark.parametrize("logger, message, argument", RECORDS)
def test_no_credential_reaches_a_handler(
    logger: str, message: str, argument: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever botocore writes one at DEBUG, the record says that something was there."""
    redact_debug_logs()
    with caplog.at_level(logging.DEBUG, logger):
        logging.getLogger(logger).debug(message, argument)
    (record,) = caplog.records
    assert SECRET not in repr(record.__dict__) + record.getMessage()
    assert "<redacted>" in record.getMessage()


def test_other_records_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """A record without credentials keeps its arguments, for handlers that group by message."""
    redact_debug_logs()
    with caplog.at_level(logging.DEBUG, "botocore.endpoint"):
        logging.getLogger("botocore.endpoint").debug("Setting %s timeout as %s", "s3", 5)
    (record,) = caplog.records
    assert (record.msg, record.args) == ("Setting %s timeout as %s", ("s3", 5))


def test_the_filter_is_installed_once() -> None:
    """Opening many clients does not make logging slower and slower."""
    redact_debug_logs()
    before = list(logging.getLogger("botocore.auth").filters)
    redact_debug_logs()
    assert logging.getLogger("botocore.auth").filters == before
