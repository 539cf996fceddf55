"""What OpenLineage is told of a copy: where from, where to, and how much.

OpenLineage is no dependency: only its own Airflow provider calls these functions, so the imports
are theirs to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from async_s3copy.model import S3Location

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


def copy_lineage(
    source: S3Location, destination: S3Location, metrics: Mapping[str, Any] | None = None
) -> OperatorLineage:
    """Return the datasets of a copy, named as the amazon provider's S3 operators name theirs.

    Args:
        source: The input: namespace ``s3://bucket``, name the key or prefix, ``/`` for a whole
            bucket.
        destination: The output; likewise.
        metrics: The metrics output schema; ``None`` (default) while the copy has not ended. It
            becomes the output's ``outputStatistics`` facet: objects copied, bytes copied.
    """
    from airflow.providers.common.compat.openlineage.facet import (  # noqa: PLC0415 - not installed without OpenLineage
        Dataset,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
    )
    from airflow.providers.openlineage.extractors import (  # noqa: PLC0415 - likewise
        OperatorLineage,
    )

    output = Dataset(**_names(destination))
    if metrics is not None:
        statistics = OutputStatisticsOutputDatasetFacet(
            size=metrics["total_bytes_transferred"],
            fileCount=metrics["files_copied_successfully"],
        )
        facets = {"outputStatistics": statistics}
        output = OutputDataset(**_names(destination), outputFacets=facets)
    return OperatorLineage(inputs=[Dataset(**_names(source))], outputs=[output])


def _names(where: S3Location) -> dict[str, str]:
    return {"namespace": f"s3://{where.bucket}", "name": where.key or "/"}
