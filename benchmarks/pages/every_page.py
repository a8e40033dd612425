"""Bring every page and figure that is made from committed results up to date.

    python benchmarks/pages/every_page.py

Scripts that measure write results alone. ``pictures.py``, which trains what it draws, is run by itself.
"""

import certificates_page
import classes_page
import comparison_page
import readme
import study_pages
import tables_page
import theory_pages

if __name__ == "__main__":
    for page in (
        certificates_page,
        classes_page,
        comparison_page,
        study_pages,
        tables_page,
        theory_pages,
        readme,
    ):
        page.write()
