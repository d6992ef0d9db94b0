"""The flow from landed chunks to pattern state, detections and detection files."""
