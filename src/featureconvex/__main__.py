"""``python -m featureconvex``: the command line."""

from featureconvex.cli import main

if __name__ == "__main__":
    main()
