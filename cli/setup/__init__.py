"""What a site of containers needs once, before its services: secrets, certificates, streams and buckets."""
