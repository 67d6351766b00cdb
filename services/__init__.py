"""One folder per deployable service."""
