"""What the figures come from: measured on unseen speakers, every run with its peers."""
