# Filled in by the packaging work.
