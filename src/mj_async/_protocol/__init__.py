"""What is sent and what an answer means: requests, responses, models. No I/O."""
