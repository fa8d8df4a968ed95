CREATE FUNCTION nautilus_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused. Book the correction as a new row.', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER trade_is_append_only BEFORE UPDATE OR DELETE ON portfolios_trade
    FOR EACH ROW EXECUTE FUNCTION nautilus_refuse_change();
CREATE TRIGGER cash_flow_is_append_only BEFORE UPDATE OR DELETE ON portfolios_cashflow
    FOR EACH ROW EXECUTE FUNCTION nautilus_refuse_change();
CREATE TRIGGER daily_price_is_append_only BEFORE UPDATE OR DELETE ON portfolios_dailyprice
    FOR EACH ROW EXECUTE FUNCTION nautilus_refuse_change();
