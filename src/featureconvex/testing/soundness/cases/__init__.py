"""What the campaign certifies and attacks: random, unexpected and trained models."""
