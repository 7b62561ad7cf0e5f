nq_test(test_changes SOURCES test_changes.c USES nq_changes LABEL unit)
nq_test(test_crc32c SOURCES test_crc32c.c USES nq_store LABEL unit)
nq_test(test_record_codec SOURCES test_record_codec.c USES nq_store LABEL unit)
