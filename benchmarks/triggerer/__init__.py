"""A real Airflow triggerer as the place to copy in: what its other triggers notice of it."""
