# The engine in virtual time. The rig of tests/support brings a dispatch and a memory store along.
foreach(_module heap table list pool)
    nq_test(test_${_module} SOURCES test_${_module}.c USES nq_engine LABEL unit)
endforeach()
foreach(_part put lease finish failures time gone session restore)
    nq_test(test_engine_${_part} SOURCES test_engine_${_part}.c USES nq_engine_rig LABEL unit)
endforeach()
nq_test(test_item_index SOURCES test_item_index.c USES nq_engine LABEL unit)
