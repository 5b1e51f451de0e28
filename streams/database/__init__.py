"""Strategies in a database that people edit: in from its table, and back into it. A process of its own."""
