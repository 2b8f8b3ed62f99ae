"""What is measured of gradients: linear in the data, so that chunks and shards add up."""
