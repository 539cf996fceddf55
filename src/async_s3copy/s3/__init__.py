"""Talk to S3: the only folder that knows botocore, HTTP or sockets."""
