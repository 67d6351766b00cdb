"""``causeway deidentify``: the engine of the service on files, without a site."""

from cli.deidentify.command import command as command
