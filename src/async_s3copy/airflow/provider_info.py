"""What Airflow reads of this package to know it as a provider."""

from __future__ import annotations

from typing import Any, Final

_INTEGRATION: Final = "Async S3 Copy"


def get_provider_info() -> dict[str, Any]:
    """Return the description that Airflow's provider manager asks for.

    Airflow checks it against its schema, and shows it with ``airflow providers get async-s3copy``.
    """
    return {
        "package-name": "async-s3copy",
        "name": "Async S3 Copy",
        "description": "Copies objects between S3 buckets and accounts, without holding a worker.",
        "integrations": [{"integration-name": _INTEGRATION, "tags": ["aws"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["async_s3copy.airflow.operators"],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["async_s3copy.airflow.triggers"],
            }
        ],
        "extra-links": ["async_s3copy.airflow.links.S3DestinationLink"],
    }
