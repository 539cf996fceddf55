"""Keys as they are now: static, refreshed ahead of time, expired."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from aiobotocore.credentials import (
    AioAssumeRoleCredentialFetcher,
    AioCredentials,
    AioDeferredRefreshableCredentials,
    AioRefreshableCredentials,
)
from botocore.credentials import ReadOnlyCredentials

from async_s3copy import CredentialsError
from async_s3copy.s3.wire.keys import KeySource
from async_s3copy.s3.wire.sigv4 import Keys
from tests.harness import all_idle

pytestmark = pytest.mark.stack_b

FAILED = "source credentials: the issuer is closed"


@dataclass
class Clock:
    """A clock that the test sets."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Issuer:
    """Issues temporary keys, one after the other, through botocore's own machinery."""

    lifetime_s: float = 3_600
    issued: int = 0
    fails: bool = False
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    release: anyio.Event | None = field(default=None)
    asked: int = 0

    async def issue(self) -> dict[str, Any]:
        self.asked += 1
        if self.release is not None:
            await self.release.wait()
        if self.fails:
            raise ValueError("the issuer is closed")
        self.issued += 1
        return {
            "access_key": f"AK{self.issued}",
            "secret_key": "secret",
            "token": f"token-{self.issued}",
            "expiry_time": (self.now + timedelta(seconds=self.lifetime_s)).isoformat(),
        }


async def refreshable(issuer: Issuer) -> AioRefreshableCredentials:
    """Make credentials whose clock is the issuer's."""
    first = await issuer.issue()
    return AioRefreshableCredentials(
        first["access_key"],
        first["secret_key"],
        first["token"],
        issuer.now + timedelta(seconds=issuer.lifetime_s),
        issuer.issue,
        "test",
        time_fetcher=lambda: issuer.now,
    )


async def test_plain_keys_are_looked_at_once_a_second() -> None:
    """Between two looks the very same object is handed out, without asking botocore."""
    clock = Clock()
    source = KeySource(AioCredentials("AK", "secret", "token"), "source", clock=clock)
    assert source.current() is None
    keys = await source.fetch()
    assert keys == Keys("AK", "secret", "token")
    assert source.current() is keys
    clock.now_s += 1.5
    assert source.current() is None
    assert await source.fetch() is keys
    assert source.current() is keys


async def test_no_credentials_name_the_side() -> None:
    """An account without credentials fails by its side."""
    with pytest.raises(CredentialsError, match=r"^destination credentials: none were found"):
        await KeySource(None, "destination").fetch()


async def test_due_keys_are_refreshed_by_one_request_while_others_go_on() -> None:
    """Ten minutes before they expire: one caller waits for new keys, the rest use the old ones."""
    clock, issuer = Clock(), Issuer()
    source = KeySource(await refreshable(issuer), "source", clock=clock)
    old = await source.fetch()
    issuer.now += timedelta(seconds=issuer.lifetime_s - 800)  # advisory, not mandatory
    issuer.release = anyio.Event()
    clock.now_s += 2
    fetched: list[Keys] = []

    async def fetch() -> None:
        fetched.append(await source.fetch())

    async with anyio.create_task_group() as group:
        group.start_soon(fetch)
        await all_idle()
        assert source.current() is old
        clock.now_s += 2  # the next look comes while the refresh is still under way
        assert source.current() is None
        assert await source.fetch() is old
        assert fetched == []
        issuer.release.set()
    assert fetched == [Keys("AK2", "secret", "token-2")]
    assert source.current() is fetched[0]
    assert issuer.issued == 2


async def test_a_refresh_that_fails_early_keeps_the_old_keys() -> None:
    """While the old keys are good, an issuer that is down harms nobody."""
    clock, issuer = Clock(), Issuer()
    source = KeySource(await refreshable(issuer), "source", clock=clock)
    old = await source.fetch()
    issuer.now += timedelta(seconds=issuer.lifetime_s - 800)
    issuer.fails = True
    clock.now_s += 2
    assert await source.fetch() is old


async def test_keys_that_cannot_be_refreshed_in_the_end_are_an_error_each_time() -> None:
    """Expired keys are never handed out, and every request asks again."""
    clock, issuer = Clock(), Issuer()
    source = KeySource(await refreshable(issuer), "source", clock=clock)
    await source.fetch()
    issuer.now += timedelta(seconds=issuer.lifetime_s + 1)
    issuer.fails = True
    clock.now_s += 2
    for _ in range(2):
        with pytest.raises(CredentialsError, match="source credentials: the issuer is closed"):
            await source.fetch()
        assert source.current() is None
    issuer.fails = False
    assert await source.fetch() == Keys("AK2", "secret", "token-2")


class InThread:
    """Credentials of a program's own: asking takes long, and does not say when to ask again."""

    def __init__(self) -> None:
        self.asked = 0
        self.release = anyio.Event()

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.asked += 1
        number = self.asked
        await self.release.wait()
        return ReadOnlyCredentials(f"AK{number}", "secret", None)


async def fetched_by(source: KeySource, into: list[Keys | str]) -> None:
    try:
        into.append(await source.fetch())
    except CredentialsError as error:
        into.append(str(error))


async def test_first_keys_are_asked_for_once_by_any_number_of_requests() -> None:
    """Requests that start together wait for the same answer, whatever the credentials do."""
    slow = InThread()
    source = KeySource(slow, "source", clock=Clock())
    fetched: list[Keys | str] = []
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(fetched_by, source, fetched)
        await all_idle()
        slow.release.set()
    assert fetched == [Keys("AK1", "secret", None)] * 5
    assert slow.asked == 1


async def test_expired_keys_are_refreshed_once_and_a_failure_is_everybodys() -> None:
    """Within the last minutes all wait for one refresh: each its own would come one by one."""
    clock, issuer = Clock(), Issuer()
    source = KeySource(await refreshable(issuer), "source", clock=clock)
    await source.fetch()
    issuer.now += timedelta(seconds=issuer.lifetime_s + 1)
    for fails, asked in ((True, 2), (False, 3)):
        issuer.release, issuer.fails = anyio.Event(), fails
        clock.now_s += 2
        fetched: list[Keys | str] = []
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(fetched_by, source, fetched)
            await all_idle()
            issuer.release.set()
        expected = FAILED if fails else Keys("AK2", "secret", "token-2")
        assert fetched == [expected] * 5
        assert issuer.asked == asked


async def test_a_cancelled_request_leaves_its_question_to_another() -> None:
    """Who asked is cancelled: one of those who waited asks again, and all are served."""
    slow = InThread()
    source = KeySource(slow, "source", clock=Clock())
    fetched: list[Keys | str] = []
    asking = anyio.CancelScope()

    async def ask() -> None:
        with asking:
            await source.fetch()

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await all_idle()
        for _ in range(3):
            group.start_soon(fetched_by, source, fetched)
        await all_idle()
        assert slow.asked == 1
        asking.cancel()
        await all_idle()
        assert slow.asked == 2
        slow.release.set()
    assert fetched == [Keys("AK2", "secret", None)] * 3


async def test_refused_keys_are_renewed_once_though_they_say_that_they_hold() -> None:
    """S3 has the last word on keys: the next request asks for others, and all wait for it."""
    clock, issuer = Clock(), Issuer()
    source = KeySource(await refreshable(issuer), "source", clock=clock)
    old = await source.fetch()
    issuer.release = anyio.Event()
    for _ in range(3):
        source.put_away(old, "ExpiredToken")
    assert source.current() is None
    fetched: list[Keys | str] = []
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(fetched_by, source, fetched)
        await all_idle()
        source.put_away(old, "ExpiredToken")  # the last of the old requests is answered
        issuer.release.set()
    assert fetched == [Keys("AK2", "secret", "token-2")] * 5
    assert issuer.issued == 2
    source.put_away(old, "ExpiredToken")
    assert source.current() is fetched[0]


async def test_two_sides_that_share_credentials_renew_them_once() -> None:
    """Both sides are refused the same keys; the second one takes what the first has brought."""
    issuer = Issuer()
    shared = await refreshable(issuer)
    sides = [KeySource(shared, "source", clock=Clock()), KeySource(shared, "source", clock=Clock())]
    old = [await side.fetch() for side in sides]
    for side, keys in zip(sides, old, strict=True):
        side.put_away(keys, "ExpiredToken")
        assert await side.fetch() == Keys("AK2", "secret", "token-2")
    assert issuer.issued == 2


@pytest.mark.parametrize(
    "code, reason",
    [
        ("ExpiredToken", "the session token has expired, and there is no other"),
        ("InvalidToken", "S3 does not accept the session token"),
        ("TokenRefreshRequired", "S3 does not accept them any more"),
    ],
)
async def test_refused_keys_without_others_are_never_handed_out_again(
    code: str, reason: str
) -> None:
    """Static keys cannot be renewed: each request fails before it is sent."""
    source = KeySource(AioCredentials("AK", "secret", "token"), "source", clock=Clock())
    source.put_away(await source.fetch(), code)
    for _ in range(2):
        with pytest.raises(CredentialsError, match=reason):
            await source.fetch()
        assert source.current() is None


async def test_keys_refused_while_they_are_asked_for_are_asked_for_again() -> None:
    """A look that began before the refusal brings the old keys, which proves nothing."""
    clock, issuer = Clock(), Issuer()
    credentials = await refreshable(issuer)
    source = KeySource(credentials, "source", clock=clock)
    old = await source.fetch()
    clock.now_s += 2
    reached, go_on = anyio.Event(), anyio.Event()
    ask, held_up = credentials.get_frozen_credentials, [True]

    async def slowly() -> ReadOnlyCredentials:
        frozen = await ask()
        if held_up.pop() if held_up else False:
            reached.set()
            await go_on.wait()
        return frozen

    credentials.get_frozen_credentials = slowly
    fetched: list[Keys | str] = []
    async with anyio.create_task_group() as group:
        group.start_soon(fetched_by, source, fetched)
        await reached.wait()
        source.put_away(old, "ExpiredToken")
        go_on.set()
    assert fetched == [Keys("AK2", "secret", "token-2")]


async def test_a_roles_keys_do_not_come_again_from_where_they_were_kept() -> None:
    """botocore keeps what STS has issued until it expires; what was refused is forgotten there."""
    issued = 0

    class Sts:
        async def __aenter__(self) -> Sts:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def assume_role(self, **_: object) -> dict[str, Any]:
            nonlocal issued
            issued += 1
            expires = datetime.now(UTC) + timedelta(hours=1)
            fields = ("AccessKeyId", "SecretAccessKey", "SessionToken")
            return {"Credentials": {**dict.fromkeys(fields, f"V{issued}"), "Expiration": expires}}

    fetcher = AioAssumeRoleCredentialFetcher(
        lambda *_, **__: Sts(), AioCredentials("AK", "secret"), "arn:aws:iam::111111111111:role/r"
    )
    credentials = AioDeferredRefreshableCredentials(
        refresh_using=fetcher.fetch_credentials, method="assume-role"
    )
    source = KeySource(credentials, "source", clock=Clock())
    source.put_away(await source.fetch(), "ExpiredToken")
    assert await source.fetch() == Keys("V2", "V2", "V2")
