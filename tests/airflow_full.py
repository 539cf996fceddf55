"""Copies in a whole Airflow: one worker slot, a scheduler, users who mark and clear, and deaths.

Its name keeps it out of ``pytest tests``, for it takes minutes: ``make test-airflow`` names it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from async_s3copy.airflow.checkpoints import CHECKPOINT_KEY
from tests.airflow_gate import Hold, Refuse, Verdict, let_pass
from tests.airflow_places import LANDING, PREFIX, Place, conf, digests, place, small
from tests.airflow_processes import wait_until
from tests.airflow_stack import Run, Stack, free_port, running, stack_settings
from tests.airflow_world import make_template, move_in
from tests.support import Buckets

pytestmark = pytest.mark.timeout(900)

LARGE: Final = {f"{PREFIX}00-large-{n}": bytes([n]) * 12 * 1024 * 1024 for n in range(2)}
PARTS: Final = 6
"""Of the large objects, three each."""
STOPS_WITHIN_S: Final = 5.0
SAVED: Final = 30
MANY: Final = 20_000
KILLS: Final = 10
SEED: Final = 4
SHARDS: Final = 4
EXAMPLES: Final = Path(__file__).parents[1] / "examples" / "airflow"
ON_WORKERS: Final = ("copy_one_object", "copy_in_an_async_task")
DEFERRED: Final = (
    "copy_a_prefix_across_accounts",
    "copy_mapped_shards",
    "copy_with_a_retry_that_resumes",
)
DAY: Final = "2026-05-06"


@pytest.fixture(scope="module")
def servers() -> Iterator[Place]:
    with place() as servers:
        yield servers


@pytest.fixture(scope="module")
def stack(servers: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder, port = tmp_path_factory.mktemp("airflow"), free_port()
    template = make_template(folder / "template")
    settings = stack_settings(port, parallelism=1)
    airflow = move_in(template, folder / "home", servers.connections, **settings)
    with running(airflow, port, "--queues", "default") as stack:
        yield stack


@pytest.fixture(autouse=True)
def open_gate(servers: Place) -> Iterator[None]:
    """Begin every test with an open gate that has counted nothing, and leave nobody waiting."""
    servers.gate.forget()
    servers.gate.set_rule(let_pass)
    yield
    servers.gate.set_rule(let_pass)


def copied_in_checkpoint(stack: Stack, run: Run) -> int:
    """Return how many objects the checkpoint in XCom counts as copied."""
    found = dict(stack.airflow.xcoms(run.dag_id, run.run_id)).get(CHECKPOINT_KEY)
    copied = found["checkpoint"]["metrics"]["files_copied_successfully"] if found else 0
    assert isinstance(copied, int)
    return copied


def test_six_copies_run_at_once_while_another_task_has_the_only_slot(
    stack: Stack, servers: Place
) -> None:
    """Deferred copies hold no worker: all six send requests, and a task runs meanwhile."""
    objects = {f"{PREFIX}{n:02}/{m}": b"x" for n in range(6) for m in range(5)}
    buckets = servers.fill(objects)
    servers.gate.set_rule(Hold(0))
    run = stack.api.start("copy_mapped", conf(buckets))
    servers.gate.wait_for_held(copy=len(objects))
    assert {asked.key.split("/")[1] for asked in servers.gate.held} == {f"{n:02}" for n in range(6)}
    assert stack.airflow.states(run.dag_id, run.run_id) == ["deferred"] * 6
    stack.settle()
    assert stack.airflow.states(run.dag_id, run.run_id) == ["deferred"] * 6
    servers.gate.set_rule(let_pass)
    assert stack.finish(run) == "success"
    assert servers.arrived(buckets) == digests(objects)


def test_a_user_who_marks_the_task_failed_stops_the_copy_and_one_who_clears_it_runs_it_again(
    stack: Stack, servers: Place
) -> None:
    """Within five seconds no request is under way and no upload open; then everything arrives."""
    objects = {**LARGE, **small(40)}
    buckets = servers.fill(objects)
    servers.gate.set_rule(Hold(SAVED, parts=True))
    run = stack.api.start("copy_large", conf(buckets))
    servers.gate.wait_for_held(part=PARTS, copy=1)
    assert len(servers.open_uploads(buckets)) == len(LARGE)
    stack.api.mark(run, "copy", "failed")
    wait_until(
        lambda: not servers.gate.held and not servers.open_uploads(buckets),
        "the copy has stopped and no upload is open",
        deadline_s=STOPS_WITHIN_S,
    )
    assert stack.finish(run) == "failed"
    assert len(servers.arrived(buckets)) == SAVED
    servers.gate.set_rule(Hold(0))
    stack.api.clear(run, "copy")
    servers.gate.wait_for_held(copy=1)
    stack.settle()
    servers.gate.set_rule(let_pass)
    wait_until(lambda: stack.api.state(run) == "success", "the cleared task succeeds")
    assert servers.arrived(buckets) == digests(objects)
    assert servers.open_uploads(buckets) == []


def test_airflows_own_limit_on_deferral_ends_the_copy_and_leaves_no_upload_open(
    stack: Stack, servers: Place
) -> None:
    """The task fails, as it would with any trigger; the copy is not left running."""
    buckets = servers.fill(LARGE)
    servers.gate.set_rule(Hold(0, parts=True))
    run = stack.api.start("copy_bounded", conf(buckets))
    servers.gate.wait_for_held(part=PARTS)
    assert stack.finish(run) == "failed"
    wait_until(
        lambda: not servers.gate.held and not servers.open_uploads(buckets),
        "the copy has stopped and no upload is open",
    )


def test_a_copy_that_ran_out_of_time_is_gone_on_with_by_the_next_try(
    stack: Stack, servers: Place
) -> None:
    """The operator's timeout fails the try; the next one copies only the rest."""
    objects = small(40)
    buckets = servers.fill(objects)
    servers.gate.set_rule(Hold(SAVED))
    run = stack.api.start("copy_timed", conf(buckets))
    servers.gate.wait_for_held(copy=len(objects) - SAVED)
    servers.gate.wait_for(lambda: not servers.gate.held, "the first try has stopped")
    assert len(servers.gate.passed("copy")) == SAVED
    servers.gate.set_rule(Hold(0))
    servers.gate.wait_for_held(copy=len(objects) - SAVED)
    stack.settle()
    servers.gate.set_rule(let_pass)
    assert stack.finish(run) == "success"
    (task,) = stack.airflow.tasks(run.dag_id, run.run_id)
    assert task["try_number"] == 2
    assert set(servers.gate.count("copy").values()) == {1}
    assert servers.arrived(buckets) == digests(objects)


def test_a_retry_copies_only_what_had_failed(stack: Stack, servers: Place) -> None:
    """The checkpoint of the first try waits in the task state store."""
    objects = small(40)
    buckets = servers.fill(objects)
    refused = {LANDING + key.removeprefix(PREFIX) for key in list(objects)[7:9]}
    servers.gate.set_rule(Hold(0))
    run = stack.api.start("copy_small", conf(buckets))
    servers.gate.wait_for_held(copy=len(objects))
    stack.settle()
    servers.gate.set_rule(Refuse(refused, later=Verdict.HOLD))
    servers.gate.wait_for_held(copy=len(refused))
    stack.settle()
    servers.gate.set_rule(let_pass)
    assert stack.finish(run) == "success"
    asked = servers.gate.count("copy")
    assert {key for key, times in asked.items() if times == 2} == refused
    assert asked.total() == len(objects) + len(refused)
    assert servers.arrived(buckets) == digests(objects)


def test_a_copy_goes_on_where_it_was_when_its_triggerer_was_ended_and_started_again(
    stack: Stack, servers: Place
) -> None:
    """SIGTERM closes the uploads; what the checkpoint holds is not copied again."""
    objects = {**LARGE, **small(40)}
    buckets = servers.fill(objects)
    servers.gate.set_rule(Hold(SAVED, parts=True))
    run = stack.api.start("copy_large", conf(buckets))
    servers.gate.wait_for_held(part=PARTS, copy=1)
    wait_until(lambda: copied_in_checkpoint(stack, run) == SAVED, "the checkpoint is stored")
    stack.triggerer.group.terminate()
    assert servers.gate.held == []
    assert servers.open_uploads(buckets) == []
    servers.gate.set_rule(let_pass)
    stack.triggerer.start()
    assert stack.finish(run) == "success"
    assert set(servers.gate.count("copy").values()) == {1}
    assert servers.arrived(buckets) == digests(objects)


def test_shards_are_copied_by_two_triggerers_at_once_and_every_key_once(
    stack: Stack, servers: Place
) -> None:
    """Both take half of the mapped tasks; together they copy each key exactly once."""
    objects = small(3_000)
    buckets = servers.fill(objects)
    servers.gate.set_rule(Hold(0))
    with ExitStack() as both:
        triggerers = [
            both.enter_context(
                stack.airflow.triggerer(
                    f"copies-{n}", "--queues", "copies", "--capacity", str(SHARDS // 2)
                )
            )
            for n in range(2)
        ]
        run = stack.api.start("copy_shards", conf(buckets))
        wait_until(
            lambda: all(t.group.owns(*(a.port for a in servers.gate.held)) for t in triggerers),
            "both have requests under way at the same time",
        )
        stack.settle()
        servers.gate.set_rule(let_pass)
        assert stack.finish(run) == "success"
    assert servers.arrived(buckets) == digests(objects)
    copied = servers.gate.count("copy")
    assert (len(copied), copied.total()) == (len(objects), len(objects))


def test_a_copy_of_many_objects_is_complete_after_ten_kills_at_random_moments(
    stack: Stack, servers: Place
) -> None:
    """However the moments fall, nothing is missing, wrong or forgotten by the metrics."""
    objects = {**LARGE, **small(MANY - len(LARGE))}
    buckets = servers.fill(objects)
    moments = random.Random(SEED)
    run = stack.api.start("copy_large", conf(buckets))
    for _ in range(KILLS):
        servers.gate.wait_for_copies(len(servers.gate.passed("copy")) + moments.randint(1, 1_000))
        stack.triggerer.group.kill()
        stack.triggerer.start()
    assert stack.finish(run, deadline_s=600) == "success"
    assert servers.arrived(buckets) == digests(objects)
    assert servers.open_uploads(buckets) == []
    metrics = stack.airflow.result(run.dag_id, run.run_id)
    assert metrics["total_files_found"] == metrics["files_copied_successfully"] == MANY


def test_the_examples_run_as_they_are(stack: Stack, servers: Place) -> None:
    """With buckets of one's own in place of theirs, and a day for the templates."""
    photos = {f"photos/{n:03}": f"photo {n}".encode() for n in range(60)}
    buckets = servers.fill({**photos, f"reports/{DAY}.csv": b"a,b"})
    put_examples(stack.airflow.home / "dags", buckets)
    wait_until(
        lambda: {*ON_WORKERS, *DEFERRED} <= {row["dag_id"] for row in dags(stack)},
        "the examples are parsed",
    )
    servers.gate.set_rule(Hold(0))
    runs = [stack.api.start(name, {}) for name in DEFERRED]
    wait_until(lambda: all(copies_defer(stack, run) for run in runs), "all copies are deferred")
    stack.settle()
    servers.gate.set_rule(let_pass)
    # Last: what these copy, the deferred ones would skip within the second that is too short.
    runs += [stack.api.start(name, {}) for name in ON_WORKERS]
    assert [stack.finish(run) for run in runs] == ["success"] * len(runs)
    assert servers.arrived(buckets) == {
        **{key.removeprefix("photos/"): digest for key, digest in digests(photos).items()},
        f"reports/{DAY}.csv": digests({"": b"a,b"})[""],
    }


def put_examples(folder: Path, buckets: Buckets) -> None:
    """Put the example DAGs into a folder, as a user would who edits the names of the buckets."""
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for theirs, ours in {
            "source-bucket": buckets.source,
            "destination-bucket": buckets.destination,
            "{{ ds }}": DAY,
            # Nothing runs by itself.
            'schedule="@daily"': "schedule=None",
        }.items():
            text = text.replace(theirs, ours)
        (folder / f"example_{path.name}").write_text(text, encoding="utf-8")


def dags(stack: Stack) -> list[dict[str, Any]]:
    """Return the DAGs that Airflow knows."""
    return stack.airflow.query("SELECT dag_id FROM dag")


def copies_defer(stack: Stack, run: Run) -> bool:
    """Tell whether every copy of a DAG run is deferred."""
    tasks = stack.airflow.tasks(run.dag_id, run.run_id)
    copies = {row["state"] for row in tasks if row["task_id"] == "copy"}
    return copies == {"deferred"}


def test_no_file_of_airflows_holds_a_credential(stack: Stack, servers: Place) -> None:
    """Neither its database (triggers, XComs, rendered templates) nor a log, of any program."""
    buckets = servers.fill(small(3))
    servers.gate.set_rule(Hold(0))
    run = stack.api.start("copy_small", conf(buckets))
    servers.gate.wait_for_held(copy=3)
    stack.settle()
    servers.gate.set_rule(let_pass)
    assert stack.finish(run) == "success"
    seen = "".join(name for name, _ in stack.airflow.files_with(buckets.source))
    assert "airflow.db" in seen
    assert "logs" in seen
    assert stack.airflow.files_with(*servers.secrets) == []
