"""The commands of `tinytl`."""
