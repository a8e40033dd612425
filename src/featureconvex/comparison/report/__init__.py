"""A comparison for readers: figures, tables and ``report.html``. Draws with matplotlib and plotly."""
