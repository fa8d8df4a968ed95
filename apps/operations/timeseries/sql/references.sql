-- What a foreign key to a hypertable was for. TimescaleDB takes one from 2.16 on, and only to columns with the time among
-- them, which the referring rows do not have.
-- Arguments: of both functions the other table, its column, and our own column.
CREATE OR REPLACE FUNCTION nautilus_check_reference() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own text := to_jsonb(NEW) ->> TG_ARGV[2];
    is_there boolean;
BEGIN
    IF own IS NULL THEN
        RETURN NEW;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I = $1::bigint)', TG_ARGV[0], TG_ARGV[1]) INTO is_there USING own;
    IF NOT is_there THEN
        RAISE EXCEPTION '% refers to % %, which does not exist.', TG_TABLE_NAME, TG_ARGV[0], own
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION nautilus_keep_referenced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_referenced boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I = $1::bigint)', TG_ARGV[0], TG_ARGV[1])
        INTO is_referenced USING to_jsonb(OLD) ->> TG_ARGV[2];
    IF is_referenced THEN
        RAISE EXCEPTION '% still refers to this row of %.', TG_ARGV[0], TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END $$;
