"""What the detector is held against: a recomputation that shares no code with it, and lakes to run both on."""
