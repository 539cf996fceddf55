"""``python -m async_s3copy``: the command line without the console script."""

from async_s3copy.cli import main

if __name__ == "__main__":
    main()
