"""What those who trade on the alerts look at: triggers, proposals, trades, and an exchange's limits."""
