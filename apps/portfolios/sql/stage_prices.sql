CREATE TEMP TABLE price_staging (
    symbol varchar(32) NOT NULL,
    date date NOT NULL,
    close double precision NOT NULL
) ON COMMIT DROP
