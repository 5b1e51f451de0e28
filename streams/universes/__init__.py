"""Universes out of an exchange's product list: fetched, kept, ruled upon, and sent out as strategy changes."""
