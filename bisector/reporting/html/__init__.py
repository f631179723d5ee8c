"""The HTML report: one file with everything in it. `bisector.reporting.html.document.html` makes it
of an `Evidence`; the other modules here are its parts. Needs the extra ``html``."""
