"""What OpenLineage is told; its own package is not installed, so stand-ins take its place."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from async_s3copy.airflow.events import CopySucceeded
from async_s3copy.metrics import MetricsRecorder
from tests.airflow_tasks import complete, copy_task

pytestmark = pytest.mark.stack_b


@dataclass
class Dataset:
    """OpenLineage's: a name in a namespace."""

    namespace: str
    name: str


@dataclass
class OutputDataset(Dataset):
    """OpenLineage's: a dataset that was written."""

    outputFacets: dict[str, Any] = field(default_factory=dict)  # noqa: N815 - its name


@dataclass
class OutputStatistics:
    """OpenLineage's ``OutputStatisticsOutputDatasetFacet``."""

    rowCount: int | None = None  # noqa: N815 - its name
    size: int | None = None
    fileCount: int | None = None  # noqa: N815 - its name


@dataclass
class OperatorLineage:
    """The provider's answer of an operator."""

    inputs: list[Dataset]
    outputs: list[Dataset]


@pytest.fixture(autouse=True)
def openlineage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put stand-ins where OpenLineage's classes are imported from."""
    facet = ModuleType("airflow.providers.common.compat.openlineage.facet")
    facet.__dict__.update(
        Dataset=Dataset,
        OutputDataset=OutputDataset,
        OutputStatisticsOutputDatasetFacet=OutputStatistics,
    )
    extractors = ModuleType("airflow.providers.openlineage.extractors")
    extractors.__dict__.update(OperatorLineage=OperatorLineage)
    provider = ModuleType("airflow.providers.openlineage")
    for module in (facet, provider, extractors):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_copy_reads_the_source_and_writes_the_destination() -> None:
    """Datasets are named as the amazon provider's S3 operators name theirs."""
    lineage = copy_task().get_openlineage_facets_on_start()
    assert lineage.inputs == [Dataset("s3://src-bucket", "p/")]
    assert lineage.outputs == [Dataset("s3://dst-bucket", "q/")]


def test_a_whole_bucket_is_its_root() -> None:
    """OpenLineage wants a name."""
    task = copy_task(source_key=None, destination_bucket=None, destination_key="s3://dst-bucket/")
    lineage = task.get_openlineage_facets_on_start()
    assert lineage.inputs == [Dataset("s3://src-bucket", "/")]
    assert lineage.outputs == [Dataset("s3://dst-bucket", "/")]


def test_at_the_end_the_output_says_how_much_was_written() -> None:
    """Objects and bytes come from the metrics of the copy that has just ended."""
    task = copy_task()
    metrics = {
        **MetricsRecorder("an-operation").snapshot().to_dict(),
        "files_copied_successfully": 3,
        "total_bytes_transferred": 77,
    }
    complete(task, CopySucceeded(metrics=metrics).to_dict())
    lineage = task.get_openlineage_facets_on_complete(None)
    assert lineage.inputs == [Dataset("s3://src-bucket", "p/")]
    statistics = OutputStatistics(size=77, fileCount=3)
    expected = OutputDataset("s3://dst-bucket", "q/", {"outputStatistics": statistics})
    assert lineage.outputs == [expected]


def test_an_end_without_metrics_names_the_datasets_alone() -> None:
    """A task that failed before it began still has its lineage."""
    lineage = copy_task().get_openlineage_facets_on_complete(None)
    assert lineage.outputs == [Dataset("s3://dst-bucket", "q/")]
