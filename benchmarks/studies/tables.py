"""The section on studies of benchmarks/README.md, from results/*.json."""
def of_result(n): return n
