"""``python -m afnio``: the command line."""

from afnio.cli import main

if __name__ == "__main__":
    main()
