"""What services may say to each other: events, frozen schemas, formats, streams as data."""
