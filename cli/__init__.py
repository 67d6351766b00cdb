"""The operator's ``causeway`` command."""
