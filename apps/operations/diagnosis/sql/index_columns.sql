-- Every index of our schema by name, with its first column (null where that is an expression), and whether it works.
SELECT index_class.relname AS name, table_class.relname AS table_name, first_column.attname AS first_column,
       definition.indisvalid AND definition.indisready AS is_valid, definition.indpred IS NOT NULL AS is_partial
FROM pg_index AS definition
JOIN pg_class AS index_class ON index_class.oid = definition.indexrelid
JOIN pg_class AS table_class ON table_class.oid = definition.indrelid
LEFT JOIN pg_attribute AS first_column
    ON first_column.attrelid = definition.indrelid AND first_column.attnum = definition.indkey[0]
WHERE table_class.relnamespace = current_schema()::regnamespace
