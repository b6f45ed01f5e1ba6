"""Terminal tables, charts and the HTML report."""
