"""What the commands read and write: task ids, and the resumable file of seeds."""
