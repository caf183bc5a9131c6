"""Each stage of an order's way alone, ours beside its peers: rendering, MLLP, publishing, encoding, C-STORE."""
