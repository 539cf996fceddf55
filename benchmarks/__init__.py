"""The public benchmark: contenders, scenarios and the simulator they all run against."""
