"""The named tasks: public data sets, one file per layout."""
