"""Command lines of the contenders, each as its own documentation advises for many objects."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.jobs import REGION, Command, Job
from benchmarks.places import BENCH_PYTHON, ROOT, site_packages


def driver(python: Path, module: str, flags: tuple[str, ...], job: Job) -> Command:
    """Run one of this package's drivers in an interpreter."""
    argv = (str(python), "-m", module, job.to_json(), *flags)
    return Command(argv=argv, env={"PYTHONPATH": str(ROOT)})


def start(python: Path, statement: str, job: Job) -> Command:
    """Run one statement in an interpreter."""
    del job
    return Command(argv=(str(python), "-c", statement))


def aws_copy(job: Job) -> Command:
    """``aws s3 cp --recursive``; its settings are in a file, there is no option for them."""
    config = (
        "[default]\ns3 =\n"
        f"    max_concurrent_requests = {job.concurrency}\n    max_queue_size = 10000\n"
        # Its 8 MiB parts would be the 10,000 requests of an object that others copy with 800.
        "    multipart_chunksize = 128MB\n"
    )
    aws = str(ROOT / ".venv-bench-aws/bin/aws")
    argv = (aws, "s3", "cp", _source(job), _destination(job), "--recursive")
    return Command(
        argv=(*argv, "--endpoint-url", job.url, "--only-show-errors"),
        env={"AWS_CONFIG_FILE": "aws-config"},
        files={"aws-config": config},
    )


def s5cmd_binary() -> Path:
    """Return the program itself: the script of that name starts a Python interpreter first."""
    packages = site_packages(BENCH_PYTHON)
    return (packages or ROOT) / "s5cmd/bin/s5cmd"


def s5cmd_copy(job: Job) -> Command:
    """``s5cmd cp`` with a wildcard."""
    argv = (*_s5cmd(job), "--log", "error", "cp", f"{_source(job)}*", _destination(job))
    return Command(argv=argv)


def s5cmd_list(job: Job) -> Command:
    """``s5cmd ls``, which prints a line per key."""
    return Command(argv=(*_s5cmd(job), "ls", f"{_source(job)}*"))


def rclone_copy(job: Job) -> Command:
    """``rclone copy``; inside one remote the server copies, between two the bytes pass through."""
    other = "there" if job.method == "relay" else "here"
    argv = (
        *_rclone("copy"),
        f"here:{job.source_bucket}/{job.prefix}",
        f"{other}:{job.destination_bucket}/{job.prefix}",
        "--no-check-dest",
        "--use-server-modtime",
        *("--transfers", str(job.concurrency), "--checkers", str(job.concurrency)),
    )
    return Command(argv=argv, env=_rclone_remote(job, "HERE") | _rclone_remote(job, "THERE"))


def rclone_list(job: Job) -> Command:
    """``rclone lsf -R --fast-list``, which prints a line per key."""
    argv = (*_rclone("lsf"), "-R", "--files-only", f"here:{job.source_bucket}/{job.prefix}")
    return Command(argv=argv, env=_rclone_remote(job, "HERE"))


def juicefs_copy(job: Job) -> Command:
    """``juicefs sync``; an address without a name makes it use path style."""
    scheme, _, host = job.url.partition("://")
    argv = (
        str(BENCH_PYTHON.with_name("juicefs")),
        "sync",
        f"s3://{host}/{job.source_bucket}/{job.prefix}",
        f"s3://{host}/{job.destination_bucket}/{job.prefix}",
        *("--threads", str(job.concurrency), "--force-update"),
        *(("--no-https",) if scheme == "http" else ()),
        # Both are addresses of its own on this machine, and the metrics' is well known.
        *("--metrics", "127.0.0.1:0", "--consul", ""),
    )
    return Command(argv=argv)


def airflow_copy(python: Path, job: Job) -> Command:
    """Run the operator with a connection from the environment and nothing else of Airflow."""
    connection = {
        "conn_type": "aws",
        "login": job.credentials.access_key_id,
        "password": job.credentials.secret_access_key,
        "extra": {"endpoint_url": job.url, "region_name": REGION},
    }
    command = driver(python, "benchmarks.drivers.airflow_copy", (), job)
    settings = {
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }
    return Command(argv=command.argv, env={**command.env, **settings})


def _source(job: Job) -> str:
    return f"s3://{job.source_bucket}/{job.prefix}"


def _destination(job: Job) -> str:
    return f"s3://{job.destination_bucket}/{job.prefix}"


def _s5cmd(job: Job) -> tuple[str, ...]:
    argv = (str(s5cmd_binary()), "--endpoint-url", job.url)
    return (*argv, "--numworkers", str(job.concurrency))


def _rclone(verb: str) -> tuple[str, ...]:
    return (str(BENCH_PYTHON.with_name("rclone")), verb, "--fast-list", "--config", "")


def _rclone_remote(job: Job, name: str) -> dict[str, str]:
    settings = {
        "TYPE": "s3",
        # What it assumes of AWS when it uploads, a checksum after the body, needs TLS.
        "PROVIDER": "SeaweedFS" if job.method == "relay" else "AWS",
        "ENV_AUTH": "true",
        "ENDPOINT": job.url,
        "REGION": REGION,
        "FORCE_PATH_STYLE": "true",
        "NO_CHECK_BUCKET": "true",
    }
    return {f"RCLONE_CONFIG_{name}_{key}": value for key, value in settings.items()}
