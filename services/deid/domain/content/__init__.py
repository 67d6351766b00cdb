"""What is in an object beside plain attributes: code streams, reports, graphics, documents, signals, profiles."""
