"""`report.html`: a replay's results to look at, in one file."""
