# The engine's output as plain data: the store uses it without knowing the engine.
nq_layer(nq_changes SOURCES changes.c table.c)
