"""Tools to try and test copies without an AWS account: a real S3 server on this machine.

Needs the ``demo`` extra. Nothing in ``async_s3copy`` outside the demo uses this package.
"""
