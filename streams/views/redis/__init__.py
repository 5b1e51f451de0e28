"""The Redis view: what stands in the tables, under the keys of old, for those who still read Redis."""
