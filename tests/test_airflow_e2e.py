"""Copies in a real triggerer: killed in the middle, and failed and retried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import pytest

from async_s3copy.airflow.checkpoints import CHECKPOINT_KEY
from tests.airflow_gate import Hold, Refuse, let_pass
from tests.airflow_places import LANDING, PREFIX, Place, conf, digests, place, small
from tests.airflow_processes import wait_until
from tests.airflow_world import Airflow, Runner, Triggerer, make_template, move_in
from tests.support import Buckets

# On stack b they are part of `make test-airflow`.
pytestmark = pytest.mark.timeout(300)

SAVED: Final = 40
"""Objects copied when a checkpoint is stored."""
LOST: Final = 15
"""Objects copied after that, before the triggerer is killed."""
LARGE: Final = {f"{PREFIX}00-large-{n}": bytes([n]) * 12 * 1024 * 1024 for n in range(2)}
PARTS: Final = 6
"""Of the large objects, three each."""
OBJECTS: Final = {**LARGE, **small(80)}


@dataclass(frozen=True, slots=True)
class World:
    """A triggerer, a process that runs DAGs, and the S3 server their requests go to."""

    place: Place
    airflow: Airflow
    triggerer: Triggerer
    runner: Runner

    def checkpoint(self, dag_id: str) -> Mapping[str, Any]:
        """Return the checkpoint in XCom, as it is stored."""
        found = dict(self.airflow.xcoms(dag_id)).get(CHECKPOINT_KEY)
        return found["checkpoint"] if found else {}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("airflow")
    template = make_template(folder / "template")
    with place() as servers:
        airflow = move_in(template, folder / "home", servers.connections)
        with airflow.triggerer() as triggerer, closing(Runner(airflow)) as runner:
            yield World(servers, airflow, triggerer, runner)


@dataclass(frozen=True, slots=True)
class Killed:
    """What was seen of a copy whose triggerer was killed.

    Attributes:
        state: Of the DAG run, at its end.
        buckets: Where it copied.
        sent_by_triggerer: Whether the requests held in the middle came from the triggerer.
        sent_by_runner: Or from the process that runs the tasks.
        trigger_row: The trigger's row in the database, in the middle.
        lost: Keys copied after the checkpoint that was stored last for certain.
        opened: Multipart uploads open when it was killed.
        asked: How often each key was copied.
    """

    state: str
    buckets: Buckets
    sent_by_triggerer: bool
    sent_by_runner: bool
    trigger_row: str
    lost: frozenset[str]
    opened: list[str]
    asked: Mapping[str, int]


@pytest.fixture(scope="module")
def killed(world: World) -> Killed:
    gate, buckets = world.place.gate, world.place.fill(OBJECTS)
    gate.set_rule(Hold(SAVED, parts=True))
    world.runner.begin("copy_large", **conf(buckets))
    gate.wait_for_copies(SAVED)
    gate.wait_for_held(part=PARTS, copy=1)
    held = gate.held[0]
    by = world.triggerer.group.owns(held.port), world.runner.group.owns(held.port)
    wait_until(
        lambda: world.checkpoint("copy_large")["metrics"]["files_copied_successfully"] == SAVED,
        "the checkpoint is stored",
    )
    (trigger,) = world.airflow.query("SELECT * FROM trigger")
    gate.set_rule(Hold(LOST, parts=True))
    gate.wait_for_copies(SAVED + LOST)
    opened = world.place.open_uploads(buckets)
    world.triggerer.group.kill()
    gate.wait_for(lambda: not gate.held, "what the triggerer had sent is gone with it")
    lost = frozenset(asked.key for asked in gate.passed("copy")[SAVED:])
    gate.set_rule(let_pass)
    world.triggerer.start()
    state = world.runner.end()
    return Killed(state, buckets, *by, str(trigger), lost, opened, gate.count("copy"))


def test_the_triggerer_and_not_the_worker_sends_the_copys_requests(killed: Killed) -> None:
    """A deferred copy holds no worker."""
    assert (killed.sent_by_triggerer, killed.sent_by_runner) == (True, False)


def test_a_copy_whose_triggerer_was_killed_is_complete_after_it_started_again(
    world: World, killed: Killed
) -> None:
    """Every object is there, byte for byte, as another client sees it; the metrics count all."""
    assert killed.state == "success"
    assert world.place.arrived(killed.buckets) == digests(OBJECTS)
    metrics = world.airflow.result("copy_large")
    assert metrics["total_files_found"] == metrics["files_copied_successfully"] == len(OBJECTS)
    assert (metrics["files_failed"], metrics["errors"]) == (0, [])


def test_only_what_was_copied_after_the_last_checkpoint_is_copied_twice(killed: Killed) -> None:
    """Everything before it is neither asked for again nor forgotten."""
    again = {key for key, times in killed.asked.items() if times > 1}
    assert again <= killed.lost
    assert len(killed.lost) == LOST
    assert len(killed.asked) == len(OBJECTS) - len(LARGE)


def test_the_uploads_that_the_killed_triggerer_left_open_are_gone(
    world: World, killed: Killed
) -> None:
    """Nobody could abort them but the trigger that went on."""
    assert len(killed.opened) == len(LARGE)
    assert world.place.open_uploads(killed.buckets) == []


def test_a_retry_copies_only_what_had_failed(world: World) -> None:
    """The first try leaves its checkpoint in the task state store; the second goes on from it."""
    objects = small(40)
    buckets = world.place.fill(objects)
    refused = {LANDING + key.removeprefix(PREFIX) for key in list(objects)[7:9]}
    world.place.gate.forget()
    world.place.gate.set_rule(Refuse(refused))
    assert world.runner.run("copy_small", **conf(buckets)) == "success"
    (task,) = world.airflow.tasks("copy_small")
    assert task["try_number"] == 2
    asked = world.place.gate.count("copy")
    assert {key for key, times in asked.items() if times == 2} == refused
    assert asked.total() == len(objects) + len(refused)
    assert world.place.arrived(buckets) == digests(objects)
    metrics = world.airflow.result("copy_small")
    assert metrics["files_copied_successfully"] == len(objects)
    assert metrics["files_failed"] == 0


def test_no_file_of_airflows_holds_a_credential(world: World, killed: Killed) -> None:
    """Neither its database (triggers, XComs, rendered templates) nor a log; and not the trigger."""
    seen = world.airflow.files_with(killed.buckets.source)
    assert {re.split("[-/]", name)[0] for name, _ in seen} >= {"airflow.db", "logs"}
    assert "source_account" in killed.trigger_row
    assert not [secret for secret in world.place.secrets if secret in killed.trigger_row]
    assert world.airflow.files_with(*world.place.secrets) == []
