"""From a request and a video's facts to a generation and its steps: formats, devices, speeds, fallback to the CPU."""
