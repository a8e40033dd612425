"""Pages, figures, tables and words for readers. Draws with matplotlib and plotly."""
