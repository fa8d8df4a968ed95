-- A line a table: 'table', its name, its rows, and a sum over the hashes of its rows, which knows no order.
-- Made of text, so the session must write all of it alike.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 1;
SELECT format(
    'SELECT ''table'', %L, count(*), coalesce(sum((''x'' || left(md5(nautilus_row::text), 16))::bit(64)::bigint), 0)
       FROM %I.%I AS nautilus_row',
    class.relname, space.nspname, class.relname
)
FROM pg_class AS class
JOIN pg_namespace AS space ON space.oid = class.relnamespace
WHERE space.nspname = 'public'
  AND class.relkind IN ('r', 'p')
  AND NOT class.relispartition
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = class.oid AND classid = 'pg_class'::regclass AND deptype = 'e')
ORDER BY class.relname
\gexec
SELECT 'migration', app || '.' || name FROM django_migrations ORDER BY id;
SELECT 'extension', extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY extname;
