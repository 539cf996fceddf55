"""The fast path to S3: prepared SigV4 on pooled keep-alive connections, C parsers."""
