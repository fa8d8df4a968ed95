CREATE FUNCTION nautilus_keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR
       ROW(NEW.id, NEW.strategy_id, NEW.parent_id, NEW.merged_from_id, NEW.hash, NEW.code, NEW.parameters_text,
           NEW.message, NEW.author, NEW.created_at, NEW.created_by_id)
       IS DISTINCT FROM
       ROW(OLD.id, OLD.strategy_id, OLD.parent_id, OLD.merged_from_id, OLD.hash, OLD.code, OLD.parameters_text,
           OLD.message, OLD.author, OLD.created_at, OLD.created_by_id)
    THEN
        RAISE EXCEPTION '% is append-only: % is refused. Post a new version.', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER strategy_version_is_append_only BEFORE UPDATE OR DELETE ON strategy_versions
    FOR EACH ROW EXECUTE FUNCTION nautilus_keep_version();
