"""Four complete additions to the library, each in one file: see CONTRIBUTING.md."""
